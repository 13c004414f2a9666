from django.urls import path

from . import streaming, views

app_name = "notifications"

urlpatterns = [
    path("", views.center, name="center"),
    path("stream/", streaming.stream, name="stream"),
    path("changes/", streaming.changes, name="changes"),
    path("snapshot/", views.snapshot, name="snapshot"),
    path("read-all/", views.read_all, name="read-all"),
    path("seen/", views.seen, name="seen"),
    path("<int:message_id>/", views.message, name="message"),
    path("<int:message_id>/<str:act>/", views.act, name="act"),
]
