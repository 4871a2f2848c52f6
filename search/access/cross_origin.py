"""Other sites' pages: whose scripts may use the API (CORS), and what none of them may send.

Keys travel in headers that a script sets itself, so no answer here ever allows "credentials": a
signed-in person's cookie is never of use to another site.
"""

from urllib.parse import urlsplit

from flask import Request, Response

from search.access.errors import CrossSite

ANY = "*"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
ALLOWED_METHODS = "GET, POST"
ALLOWED_HEADERS = "Authorization, Content-Type, X-API-Key, X-Request-Id"
EXPOSED_HEADERS = "Retry-After, X-Request-Id"
PREFLIGHT_KEPT_S = 600


class CrossOrigin:
    """origins: as AccessConfig.cors_origins; api_paths: how the paths that it is about begin."""

    def __init__(self, origins: tuple[str, ...], api_paths: tuple[str, ...]) -> None:
        self._origins = frozenset(each.rstrip("/").lower() for each in origins)
        self._api_paths = api_paths

    def allows(self, request: Request) -> bool:
        """Whether the site that sends the request was named in the configuration."""
        origin = request.headers.get("Origin", "").lower()
        known = bool(origin) and (origin in self._origins or ANY in self._origins)
        return known and request.path.startswith(self._api_paths)

    def check(self, request: Request) -> None:
        """Raises CrossSite for what changes something and another site's page has sent.

        Programs send neither header; browsers send the first where the connection is private or
        local, and the second with every form.
        """
        if request.method in SAFE_METHODS or self.allows(request):
            return
        from_elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in (
            "same-origin",
            "none",
        )
        origin = request.headers.get("Origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()
        if from_elsewhere or foreign:
            raise CrossSite(
                "The page of another site has sent this. If its scripts may use this API, add "
                "it to serve.cors_origins."
            )

    def preflight(self, request: Request) -> Response | None:
        """The answer to a browser that asks whether it may send; None for all other requests."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or not self.allows(request):
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_KEPT_S)
        return response

    def tell(self, request: Request, response: Response) -> None:
        if not self._origins or not request.path.startswith(self._api_paths):
            return
        if ANY not in self._origins:
            response.vary.add("Origin")
        if self.allows(request):
            allowed = ANY if ANY in self._origins else request.headers["Origin"]
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
