"""What the pages about accounts say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

from looma_console.web.permissions import Role

ROLES: dict[str, LazyString] = {
    Role.RECRUITER: lazy_gettext("Recruiter"),
    Role.OPERATOR: lazy_gettext("Operator"),
    Role.ADMIN: lazy_gettext("Administrator"),
}
ROLE_HINTS: dict[str, LazyString] = {
    Role.RECRUITER: lazy_gettext("reads people and uploads résumés"),
    Role.OPERATOR: lazy_gettext("watches services and rolls them back"),
    Role.ADMIN: lazy_gettext("manages accounts and reads the audit"),
}
ACTIONS: dict[str, LazyString] = {
    "sign-in": lazy_gettext("Sign in"),
    "sign-out": lazy_gettext("Sign out"),
    "change-password": lazy_gettext("Change password"),
    "create-user": lazy_gettext("Create account"),
    "change-user": lazy_gettext("Change account"),
    "upload-resume": lazy_gettext("Upload résumé"),
    "download-resume": lazy_gettext("Download résumé"),
    "upload-file": lazy_gettext("Upload file of a person"),
    "download-file": lazy_gettext("Download file of a person"),
    "delete-file": lazy_gettext("Delete file of a person"),
    "change-person": lazy_gettext("Change person"),
    "create-job": lazy_gettext("Create job"),
    "change-job": lazy_gettext("Change job"),
    "delete-job": lazy_gettext("Delete job"),
    "create-company": lazy_gettext("Create company"),
    "change-company": lazy_gettext("Change company"),
    "delete-company": lazy_gettext("Delete company"),
    "replay-record": lazy_gettext("Put record right"),
    "discard-record": lazy_gettext("Throw record away"),
    "settle-conflict": lazy_gettext("Settle conflict"),
    "write-again": lazy_gettext("Try write again"),
    "import-records": lazy_gettext("Import records"),
    "export-records": lazy_gettext("Export records"),
    "create-relation": lazy_gettext("Create relation"),
    "change-relation": lazy_gettext("Change relation"),
    "delete-relation": lazy_gettext("Delete relation"),
    "give-consent": lazy_gettext("Note consent"),
    "withdraw-consent": lazy_gettext("Withdraw consent"),
    "erase-person": lazy_gettext("Erase person"),
    "lift-erasure": lazy_gettext("Lift erasure"),
    "restore-person": lazy_gettext("Restore person"),
    "restore-job": lazy_gettext("Restore job"),
    "restore-company": lazy_gettext("Restore company"),
    "rollback": lazy_gettext("Roll back"),
    "promote": lazy_gettext("Next step"),
    "promote-full": lazy_gettext("Leave out all steps"),
    "pause": lazy_gettext("Pause"),
    "abort": lazy_gettext("Abort"),
    "retry": lazy_gettext("Try again"),
    "restart": lazy_gettext("Restart the pods"),
    "run": lazy_gettext("Run now"),
    "cancel": lazy_gettext("Cancel run"),
    "suspend": lazy_gettext("Suspend"),
    "resume": lazy_gettext("Go on"),
}
OUTCOMES: dict[str, LazyString] = {"done": lazy_gettext("Done"), "refused": lazy_gettext("Refused")}
