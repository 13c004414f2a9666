import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import notifications.cursor


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('notifications', '0004_processes'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='message',
            options={'permissions': [('send_to_everyone', 'Can send to everyone'), ('send_to_groups', 'Can send to groups'), ('send_to_users', 'Can send to people by their names'), ('withdraw_any', 'Can withdraw messages of others'), ('unlimited_sends', 'Can send without a limit an hour'), ('view_statistics', 'Can see statistics and the live dashboard'), ('end_streams', 'Can end the streams of a user')], 'verbose_name': 'message', 'verbose_name_plural': 'messages'},
        ),
        migrations.AddField(
            model_name='message',
            name='everyone_but',
            field=models.BooleanField(db_default=False, default=False, verbose_name='everyone but some'),
        ),
        migrations.AddField(
            model_name='message',
            name='excluded_groups',
            field=models.ManyToManyField(blank=True, related_name='+', to='auth.group', verbose_name='groups left out'),
        ),
        migrations.AddField(
            model_name='message',
            name='excluded_users',
            field=models.ManyToManyField(blank=True, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='people left out'),
        ),
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.CharField(default=notifications.cursor.new_word, editable=False, max_length=16, primary_key=True, serialize=False)),
                ('data', models.JSONField(default=dict)),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='saved')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'draft',
                'verbose_name_plural': 'drafts',
                'default_permissions': (),
            },
        ),
    ]
