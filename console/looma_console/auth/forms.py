"""Forms of the login and account pages."""

from __future__ import annotations

from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from looma_console.auth.passwords import MAX_LENGTH, MIN_LENGTH


class LoginForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Login and password; what is wrong with them is never said field by field."""

    login = StringField(lazy_gettext("Login"), [InputRequired(lazy_gettext("Write your login."))])
    password = PasswordField(lazy_gettext("Password"), [InputRequired(lazy_gettext("Write your password."))])
    next = HiddenField()


class PasswordForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A new password for the own account."""

    old = PasswordField(
        lazy_gettext("Current password"), [InputRequired(lazy_gettext("Write your current password."))]
    )
    new = PasswordField(
        lazy_gettext("New password"),
        [
            Length(
                min=MIN_LENGTH,
                max=MAX_LENGTH,
                message=lazy_gettext("Use %(min)d to %(max)d characters."),
            )
        ],
    )
    again = PasswordField(
        lazy_gettext("New password again"),
        [EqualTo("new", lazy_gettext("The two new passwords differ."))],
    )
