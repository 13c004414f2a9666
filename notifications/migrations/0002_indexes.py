import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('notifications', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    # The new ones first: MariaDB drops no index that a foreign key still needs.
    operations = [
        migrations.AddIndex(
            model_name='recipient',
            index=models.Index(fields=['user', 'archived_at', 'read_at', 'message', 'via'], name='recipient_of_user'),
        ),
        migrations.AddConstraint(
            model_name='recipient',
            constraint=models.UniqueConstraint(fields=('message', 'user'), name='recipient_once'),
        ),
        migrations.RemoveConstraint(
            model_name='recipient',
            name='recipient_once_a_message',
        ),
        migrations.RemoveIndex(
            model_name='recipient',
            name='recipient_unread',
        ),
        migrations.AlterField(
            model_name='recipient',
            name='message',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='recipients', to='notifications.message'),
        ),
        migrations.AlterField(
            model_name='recipient',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.RemoveIndex(
            model_name='message',
            name='message_broadcasts',
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['everyone', 'position', 'withdrawn_at', 'expired_at', 'id'], name='message_broadcasts'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('expired_at', None), ('withdrawn_at', None)), fields=['id', 'position'], name='message_live'),
        ),
    ]
