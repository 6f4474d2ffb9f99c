"""Asks a videoconf-facade for Rocket.Chat's video conferences."""

from videoconf.aio import AsyncClient
from videoconf.channel import Tls
from videoconf.client import Client
from videoconf.credentials import Credentials
from videoconf.error import Error, FieldViolation

__all__ = ["AsyncClient", "Client", "Credentials", "Error", "FieldViolation", "Tls"]
