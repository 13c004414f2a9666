from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('notifications', '0005_sending'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['created_at', 'id'], name='message_by_date'),
        ),
        migrations.AddField(
            model_name='process',
            name='streamed',
            field=models.JSONField(default=dict),
        ),
    ]
