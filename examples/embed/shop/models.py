import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class CustomerManager(BaseUserManager):
    def create_user(self, email, password):
        customer = self.model(email=self.normalize_email(email))
        customer.set_password(password)
        customer.save()
        return customer


class Customer(AbstractBaseUser, PermissionsMixin):
    """Nothing of Django's own user that messages could lean on: not the name, not the number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = EMAIL_FIELD = "email"
    objects = CustomerManager()
