import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import notifications.cursor


def keep_senders(apps, schema_editor):
    """Who might send to groups and to people may go on: it needed `add_message` alone."""
    alias = schema_editor.connection.alias
    permissions = apps.get_model('auth', 'Permission').objects.using(alias)
    of_messages = permissions.filter(content_type__app_label='notifications')
    old = of_messages.filter(codename='add_message').first()
    if old is None:
        return  # a new database: its permissions are made after all migrations
    for codename, name in [
        ('send_to_groups', 'Can send to groups'),
        ('send_to_users', 'Can send to people by their names'),
    ]:
        new, _ = permissions.get_or_create(
            content_type=old.content_type, codename=codename, defaults={'name': name}
        )
        new.group_set.add(*old.group_set.all())
        if hasattr(old, 'user_set'):  # a user model need not have permissions
            new.user_set.add(*old.user_set.all())


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
        migrations.RunPython(keep_senders, migrations.RunPython.noop, elidable=True),
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
