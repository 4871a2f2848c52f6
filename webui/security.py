"""Headers that keep a page to itself."""

import secrets

from flask import Flask, Response, g

FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The pictures are the user's own: no other site may show them, not even on this machine.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def style_nonce() -> str:
    """Lets the one <style> of this answer in: the shapes and colours of its pictures."""
    if "style_nonce" not in g:
        g.style_nonce = secrets.token_urlsafe(16)
    nonce: str = g.style_nonce
    return nonce


def content_policy() -> str:
    nonce = f" 'nonce-{g.style_nonce}'" if "style_nonce" in g else ""
    return (
        "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"style-src 'self'{nonce}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def secure(app: Flask) -> None:
    app.jinja_env.globals["style_nonce"] = style_nonce

    @app.after_request
    def _headers(response: Response) -> Response:
        for name, value in FIXED_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", content_policy())
        return response
