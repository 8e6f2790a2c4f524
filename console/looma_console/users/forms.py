"""Forms of the account pages."""

from __future__ import annotations

from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, PasswordField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Regexp

from looma_console.auth.passwords import MAX_LENGTH, MIN_LENGTH
from looma_console.users.messages import ROLES
from looma_console.users.operations import LOGIN

_ONE_ROLE = lazy_gettext("Choose one role or more.")


class NewUserForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A new account."""

    login = StringField(
        lazy_gettext("Login"),
        [
            Regexp(
                LOGIN.pattern + "$",
                message=lazy_gettext(
                    "Use 2 to 63 small letters, digits, dots, dashes or underscores; begin with a letter or digit."
                ),
            )
        ],
    )
    display_name = StringField(lazy_gettext("Name"), [Length(max=100)])
    password = PasswordField(
        lazy_gettext("First password"),
        [Length(min=MIN_LENGTH, max=MAX_LENGTH, message=lazy_gettext("Use %(min)d to %(max)d characters."))],
    )
    roles = SelectMultipleField(
        lazy_gettext("Roles"), [InputRequired(_ONE_ROLE)], choices=list(ROLES.items())
    )


class ChangeUserForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Roles of an account, and whether it is open."""

    roles = SelectMultipleField(
        lazy_gettext("Roles"), [InputRequired(_ONE_ROLE)], choices=list(ROLES.items())
    )
    active = BooleanField(lazy_gettext("Open"))
