"""Addresses of the keys."""

from django.urls import path

from controlplane.keys import views

urlpatterns = [path(".well-known/touchstone-keys.json", views.touchstone_keys, name="touchstone_keys")]
