"""Signs the address of an object in S3, so that it is fetched as every other file is.

Only the signature is the library's: ranges, tries again and what is counted are the same for all that comes by HTTP.
"""

from __future__ import annotations

from datetime import timedelta

import obstore
from obstore.store import S3Store

GOOD_FOR = timedelta(hours=1)
"""An address is signed anew for each question; a fetch of one answer may take as long as it likes."""


class SignedObject:
    """An object's address.

    Args:
        bucket: its bucket.
        key: its name there.
        region: of the bucket.
        endpoint: address of a store that is not Amazon's, else empty.
        access_key_id: whose it is; empty to ask as the pod's own role, or as nobody in particular.
        secret_access_key: the key's other half.
        session_token: of a key that ends by itself.
    """

    def __init__(
        self,
        *,
        bucket: str,
        key: str,
        region: str,
        endpoint: str,
        access_key_id: str,
        secret_access_key: str,
        session_token: str = "",
    ) -> None:
        self._key = key
        given = {
            "endpoint": endpoint,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "session_token": session_token,
        }
        self._store = S3Store(
            bucket,
            region=region,
            client_options={"allow_http": endpoint.startswith("http://")},
            **{name: value for name, value in given.items() if value},  # type: ignore[arg-type]
        )

    def address(self) -> str:
        """An address that is good for an hour."""
        return obstore.sign(self._store, "GET", self._key, GOOD_FOR)
