"""Keys and scopes: who may come in, and to what."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from search.access.config import AccessConfig
from search.access.sessions import COOKIE
from search.client import ApiError, Client
from search.engine import SearchEngine
from search.http.routes import ROUTES, Route
from storage.api_keys import NewKey, create_key, list_keys, revoke_key
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig

OPEN = {"/healthz", "/readyz"}
ADMIN = {"/api/v1/jobs", "/api/v1/jobs/{job_id}", "/metrics"}


@pytest.fixture
def key(library: Library, client: FlaskClient) -> NewKey:
    return create_key(library.engine, "reader", "read")


@pytest.fixture
def admin(library: Library, client: FlaskClient) -> NewKey:
    return create_key(library.engine, "chief", "admin")


def bearer(key: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.key}"}


def path_of(route: str) -> str:
    return route.replace("{image_id}", "1").replace("{job_id}", "1")


def test_without_keys_everything_is_open(client: FlaskClient) -> None:
    for path in ("/", "/status", "/metrics", "/api/v1/jobs", "/api/v1/search?q=red"):
        assert client.get(path).status_code == 200, path


def test_with_keys_every_route_asks_for_what_its_table_says(
    client: FlaskClient, key: NewKey, admin: NewKey
) -> None:
    for route in ROUTES:
        check_route(client, route, key, admin)


def check_route(client: FlaskClient, route: Route, key: NewKey, admin: NewKey) -> None:
    path = path_of(route.path)
    bare = client.open(path, method=route.method)
    reading = client.open(path, method=route.method, headers=bearer(key), buffered=True)
    ruling = client.open(path, method=route.method, headers=bearer(admin), buffered=True)
    if route.path in OPEN:
        assert (bare.status_code, reading.status_code) == (200, 200)
        return
    assert bare.status_code == 401, path
    assert bare.headers["WWW-Authenticate"].startswith("Bearer")
    assert bare.mimetype == "application/problem+json"
    assert (reading.status_code == 403) == (route.path in ADMIN)
    assert ruling.status_code not in (401, 403)


def test_what_does_not_exist_is_not_told_to_strangers(client: FlaskClient, key: NewKey) -> None:
    for path in ("/api/v1/nothing", "/api/v1/images/x", "/api/v1/search/"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer(key)).status_code == 404


def test_the_key_may_stand_in_either_header(client: FlaskClient, key: NewKey) -> None:
    for headers in (bearer(key), {"X-API-Key": key.key}, {"Authorization": f"bearer {key.key}"}):
        assert client.get("/api/v1/stats", headers=headers).status_code == 200


WRONG_KEYS = (
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer"},
    {"Authorization": "Basic cmVhZGVyOng="},
    {"Authorization": "Bearer \x7f\xff"},
    {"X-API-Key": "reader"},
    {"Cookie": f"{COOKIE}=1"},
    {"Cookie": f"{COOKIE}=MQ.x.y"},
)


def test_what_is_no_key_does_not_count(client: FlaskClient, key: NewKey) -> None:
    for headers in WRONG_KEYS:
        assert client.get("/api/v1/stats", headers=headers).status_code == 401, headers


def test_a_key_made_or_revoked_meanwhile_counts_at_once(
    client: FlaskClient, library: Library
) -> None:
    assert client.get("/api/v1/stats").status_code == 200
    made = create_key(library.engine, "late", "read")
    assert client.get("/api/v1/stats").status_code == 401
    assert client.get("/api/v1/stats", headers=bearer(made)).status_code == 200
    create_key(library.engine, "other", "read")
    revoke_key(library.engine, "late")
    assert client.get("/api/v1/stats", headers=bearer(made)).status_code == 401


def test_revoking_the_last_key_does_not_open_a_server_that_others_reach(
    engine: SearchEngine, library: Library
) -> None:
    access = AccessConfig(bound_host="0.0.0.0", open_without_keys=False)
    client = create_app(engine, WebConfig(access=access)).test_client()
    made = create_key(library.engine, "only", "read")
    assert client.get("/api/v1/stats", headers=bearer(made)).status_code == 200
    revoke_key(library.engine, "only")
    assert client.get("/api/v1/stats", headers=bearer(made)).status_code == 401
    assert client.get("/api/v1/stats").status_code == 401


def test_the_use_of_a_key_is_noted(client: FlaskClient, library: Library, key: NewKey) -> None:
    client.get("/api/v1/stats", headers=bearer(key))
    (listed,) = list_keys(library.engine)
    assert listed.last_used_at is not None


def test_answers_are_not_for_proxies_to_keep_where_a_key_is_needed(
    client: FlaskClient, key: NewKey
) -> None:
    for path in ("/api/v1/images/1/thumbnail", "/api/v1/stats", "/?q=red"):
        control = client.get(path, headers=bearer(key)).cache_control
        assert control.private, path
        assert not control.public, path


class TestPeople:
    def sign_in(self, client: FlaskClient, key: str, page: str = "/") -> TestResponse:
        return client.post("/sign-in", data={"key": key, "page": page})

    def test_a_page_leads_to_the_sign_in_and_back(self, client: FlaskClient, key: NewKey) -> None:
        away = client.get("/?q=m%C3%A8o&not=red")
        assert away.status_code == 303
        assert away.location.startswith("/sign-in?page=")
        form = client.get(away.location)
        assert form.status_code == 200
        assert 'name="page" value="/?q=m%C3%A8o&amp;not=red"' in form.text
        back = self.sign_in(client, f" {key.key} ", "/?q=m%C3%A8o&not=red")
        assert (back.status_code, back.location) == (303, "/?q=m%C3%A8o&not=red")
        assert client.get("/?q=red").status_code == 200
        assert client.get("/api/v1/images/1/thumbnail").status_code == 200

    def test_the_cookie_is_kept_from_scripts_and_other_sites_and_is_not_the_key(
        self, client: FlaskClient, key: NewKey
    ) -> None:
        self.sign_in(client, key.key)
        cookie = client.get_cookie(COOKIE)
        assert cookie is not None
        assert (cookie.http_only, cookie.same_site, cookie.secure) == (True, "Strict", False)
        assert key.key not in cookie.value
        answer = client.post("/sign-in", data={"key": key.key}, base_url="https://localhost")
        assert "; Secure" in answer.headers["Set-Cookie"]

    def test_a_wrong_key_is_told_and_opens_nothing(self, client: FlaskClient, key: NewKey) -> None:
        for wrong in ("", "nonsense", "x" * 5000):
            answer = self.sign_in(client, wrong)
            assert answer.status_code == 401
            assert "revoked" in answer.text
        assert client.get_cookie(COOKIE) is None

    def test_a_session_ends_with_its_key(
        self, client: FlaskClient, library: Library, key: NewKey, admin: NewKey
    ) -> None:
        self.sign_in(client, key.key)
        assert client.get("/").status_code == 200
        revoke_key(library.engine, "reader")
        assert client.get("/").status_code == 303

    def test_a_session_ends_by_signing_out(self, client: FlaskClient, key: NewKey) -> None:
        self.sign_in(client, key.key)
        assert "/sign-out" in client.get("/").text
        assert client.post("/sign-out").status_code == 303
        assert client.get_cookie(COOKIE) is None
        assert client.get("/").status_code == 303

    def test_a_session_of_another_process_does_not_count(
        self, client: FlaskClient, engine: SearchEngine, key: NewKey
    ) -> None:
        self.sign_in(client, key.key)
        cookie = client.get_cookie(COOKIE)
        assert cookie is not None
        other = create_app(engine, WebConfig()).test_client()
        other.set_cookie(COOKIE, cookie.value)
        assert other.get("/").status_code == 303

    def test_a_reader_does_not_see_the_machines_folders(
        self, client: FlaskClient, key: NewKey, admin: NewKey, pictures: Path
    ) -> None:
        self.sign_in(client, key.key)
        refused = client.get("/status")
        assert refused.status_code == 403
        assert str(pictures) not in refused.text
        self.sign_in(client, admin.key)
        assert client.get("/status").status_code == 200

    @pytest.mark.parametrize("page", ["https://elsewhere.test/", "//elsewhere.test", "/\\x", ""])
    def test_signing_in_leads_to_no_other_site(
        self, client: FlaskClient, key: NewKey, page: str
    ) -> None:
        assert self.sign_in(client, key.key, page).location == "/"

    def test_the_way_in_needs_no_key(self, client: FlaskClient, key: NewKey) -> None:
        page = client.get("/sign-in")
        assert page.status_code == 200
        assert page.headers["Cache-Control"].startswith("no-store")
        sheet = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
        with client.get(sheet) as styles:
            assert styles.status_code == 200
        assert client.post("/language", data={"language": "vi", "page": "/"}).status_code == 303
        assert "Đăng nhập" in client.get("/sign-in").text


def test_the_python_client_brings_its_key(server_url: str, library: Library) -> None:
    made = create_key(library.engine, "program", "read")
    assert Client(server_url, key=made.key).search("red").hits
    with pytest.raises(ApiError) as refused:
        Client(server_url).search("red")
    assert refused.value.problem.status == 401


def test_the_document_says_where_a_key_goes_and_what_is_answered_without(
    client: FlaskClient,
) -> None:
    document = client.get("/openapi.json").json
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["scheme"], schemes["header"]["name"]) == ("bearer", "X-API-Key")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path in OPEN:
                assert operation["security"] == []
                continue
            assert {"401", "403", "429"} <= set(operation["responses"]), path
            assert {"bearer": []} in operation["security"]
            assert ("admin" in operation.get("description", "")) == (path in ADMIN), path


def test_what_tells_of_the_machine_is_not_for_readers_and_only_the_way_in_is_open(
    client: FlaskClient, key: NewKey
) -> None:
    """Over all routes that there are, so that a new one is thought about."""
    machine, way_in = re.compile(r"/(api/v1/)?(jobs|status|metrics)\b"), {"sign-in", "healthz"}
    way_in |= {"readyz", "sign-out", "language", "theme", "static"}
    for rule in client.application.url_map.iter_rules():
        path = re.sub(r"<[^>]*>", "1", rule.rule)
        method = "GET" if "GET" in rule.methods else "POST"
        stranger = client.open(path, method=method, buffered=True)
        reader = client.open(path, method=method, headers=bearer(key), buffered=True)
        refused = "WWW-Authenticate" in stranger.headers
        refused = refused or (stranger.location or "").startswith("/sign-in?")
        assert refused == (path.split("/")[1] not in way_in), path
        assert (reader.status_code == 403) == bool(machine.match(path)), path
