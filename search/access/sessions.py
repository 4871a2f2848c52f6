"""Sessions of people in browsers: a signed cookie that names a key, and not the key itself."""

import secrets

from flask import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

COOKIE = "polyglance_session"
MAX_AGE_S = 14 * 24 * 60 * 60


class Sessions:
    """Signed with a secret of this process's own: its end signs everybody out, and no secret lies
    on the disk. Whether the key still counts is asked at every request."""

    def __init__(self) -> None:
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt=COOKIE)

    def key_id(self, request: Request) -> int | None:
        """Of the key that the session was opened with; None without a session that holds."""
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        try:
            found = self._signer.loads(cookie, max_age=MAX_AGE_S)
        except BadSignature:
            return None
        return int(found)

    def open(self, response: Response, key_id: int, *, secure: bool) -> None:
        """secure: whether the browser may only send the cookie by HTTPS."""
        response.set_cookie(
            COOKIE,
            self._signer.dumps(key_id),
            max_age=MAX_AGE_S,
            secure=secure,
            httponly=True,
            samesite="Strict",
        )

    @staticmethod
    def close(response: Response) -> None:
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
