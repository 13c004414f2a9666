from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="shelf.html"), name="shelf"),
    path("inbox/", include("notifications.urls")),  # messages: wherever you like
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
]
