"""Rate limits, names of the server, other sites and proxies."""

import pytest
from flask.testing import FlaskClient

from search.access.callers import Caller, who
from search.access.config import AccessConfig
from search.access.hosts import KnownHosts, is_loopback
from search.access.rate_limit import TokenBuckets
from search.engine import SearchEngine
from storage.api_keys import create_key
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig

STATS = "/api/v1/stats"
SEARCH = "/api/v1/search"
SHOP = "https://shop.example"


@pytest.fixture
def client_with(engine: SearchEngine):
    """client_with(cors_origins=…, …): an app with these access rules."""

    def make(**rules: object) -> FlaskClient:
        return create_app(engine, WebConfig(access=AccessConfig(**rules))).test_client()

    return make


def from_address(address: str) -> dict[str, object]:
    return {"environ_base": {"REMOTE_ADDR": address}}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestBuckets:
    def test_a_bucket_holds_a_minutes_requests_and_fills_evenly(self) -> None:
        clock = Clock()
        buckets = TokenBuckets(60, clock=clock)
        assert [buckets.take("a") for _ in range(61)] == [0] * 60 + [1]
        clock.now = 0.5
        assert buckets.take("a") == 1
        clock.now = 1.0
        assert [buckets.take("a"), buckets.take("a")] == [0, 1]
        clock.now = 1000.0
        assert [buckets.take("a") for _ in range(61)] == [0] * 60 + [1]

    def test_the_wait_that_is_told_is_long_enough(self) -> None:
        clock = Clock()
        buckets = TokenBuckets(7, clock=clock)
        while (wait_s := buckets.take("a")) == 0:
            pass
        clock.now += wait_s
        assert buckets.take("a") == 0

    def test_callers_do_not_share_a_bucket(self) -> None:
        buckets = TokenBuckets(1, clock=Clock())
        assert [buckets.take("a"), buckets.take("b"), buckets.take("a")] == [0, 0, 60]

    def test_only_so_many_callers_are_remembered(self) -> None:
        buckets = TokenBuckets(1, most_callers=100, clock=Clock())
        for at in range(1000):
            buckets.take(at)
        assert len(buckets) == 100
        assert buckets.take(999) > 0

    def test_a_household_of_ipv6_is_one_caller(self) -> None:
        callers = [Caller(None, each, False) for each in ("2001:db8::1", "2001:db8::9:2")]
        assert who(callers[0]) == who(callers[1])
        assert who(Caller(None, "2001:db8:0:1::1", False)) != who(callers[0])
        assert who(Caller(None, "10.0.0.1", False)) != who(Caller(None, "10.0.0.2", False))


class TestRateLimit:
    def test_an_address_that_asks_too_often_is_told_when_to_come_back(self, client_with) -> None:
        client = client_with(requests_per_minute=3)
        far = from_address("203.0.113.7")
        answers = [client.get(STATS, **far) for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert answers[3].mimetype == "application/problem+json"
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 20
        assert client.get(STATS, **from_address("203.0.113.8")).status_code == 200
        assert client.get("/", **far).status_code == 429
        assert client.get("/healthz", **far).status_code == 200

    def test_this_machine_is_not_limited_without_a_key(self, client_with) -> None:
        client = client_with(requests_per_minute=1)
        assert {client.get(STATS).status_code for _ in range(5)} == {200}

    def test_a_key_has_a_limit_of_its_own_wherever_it_is_used(
        self, client_with, library: Library
    ) -> None:
        client = client_with(requests_per_minute=2)
        first, second = (create_key(library.engine, name, "read").key for name in ("a", "b"))
        addresses = ["127.0.0.1", "203.0.113.1", "203.0.113.2"]
        codes = [
            client.get(STATS, headers={"X-API-Key": first}, **from_address(each)).status_code
            for each in addresses
        ]
        assert codes == [200, 200, 429]
        assert client.get(STATS, headers={"X-API-Key": second}).status_code == 200

    def test_guessing_keys_is_limited_by_address(self, client_with, library: Library) -> None:
        client = client_with(requests_per_minute=2)
        create_key(library.engine, "a", "read")
        codes = [
            client.get(
                STATS, headers={"X-API-Key": f"guess {at}"}, **from_address("203.0.113.1")
            ).status_code
            for at in range(3)
        ]
        assert codes == [401, 401, 429]

    def test_there_may_be_no_limit(self, client_with) -> None:
        client = client_with(requests_per_minute=None)
        far = from_address("203.0.113.7")
        assert {client.get(STATS, **far).status_code for _ in range(5)} == {200}


class TestHost:
    @pytest.mark.parametrize(
        "host", ["localhost", "localhost:7700", "LOCALHOST.", "127.0.0.1:7700", "[::1]:7700"]
    )
    def test_this_machines_names_are_known(self, client: FlaskClient, host: str) -> None:
        assert client.get(STATS, headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "rebinding.test",
            "localhost.rebinding.test",
            "127.0.0.1.rebinding.test",
            "rebinding.test:7700",
            "192.168.1.5",
            "localhost@rebinding.test",
            "",
        ],
    )
    def test_a_name_that_leads_here_by_somebody_elses_doing_is_refused(
        self, client: FlaskClient, host: str
    ) -> None:
        for path in ("/", STATS, "/healthz", "/static/page.css"):
            answer = client.get(path, environ_overrides={"HTTP_HOST": host})
            assert answer.status_code == 421, path
            if path == STATS:
                assert "serve.allowed_hosts" in answer.json["detail"]

    def test_names_are_added_by_the_configuration(self, client_with) -> None:
        client = client_with(allowed_hosts=("Photos.example", "fd00::5"))
        for host in ("photos.example", "PHOTOS.example:443", "[fd00::5]:7700"):
            assert client.get(STATS, headers={"Host": host}).status_code == 200
        assert client.get(STATS, headers={"Host": "other.example"}).status_code == 421

    def test_a_server_on_every_address_knows_addresses_and_no_strange_names(self) -> None:
        hosts = KnownHosts(AccessConfig(bound_host="0.0.0.0"))
        assert hosts.know("192.168.1.5:7700")
        assert hosts.know("[2001:db8::1]:7700")
        assert not hosts.know("rebinding.test")
        one = KnownHosts(AccessConfig(bound_host="192.168.1.5"))
        assert one.know("192.168.1.5:7700")
        assert not one.know("192.168.1.6:7700")

    def test_loopback_is_told_from_what_only_looks_like_it(self) -> None:
        for host in ("127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"):
            assert is_loopback(host), host
        for host in ("0.0.0.0", "::", "", "192.168.1.5", "127.0.0.1.example", "example"):
            assert not is_loopback(host), host


def preflight(client: FlaskClient, origin: str, path: str = SEARCH):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return client.options(path, headers=asked)


class TestOtherSites:
    def test_without_configuration_no_site_is_let_in(self, client: FlaskClient) -> None:
        for answer in (
            preflight(client, SHOP),
            client.get(STATS, headers={"Origin": SHOP}),
            client.get(STATS, headers={"Origin": "null"}),
        ):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]

    def test_a_site_that_is_named_may_use_the_api(self, client_with, library: Library) -> None:
        client = client_with(cors_origins=(SHOP,))
        key = create_key(library.engine, "shop", "read").key
        asked = preflight(client, SHOP)
        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        assert "POST" in asked.headers["Access-Control-Allow-Methods"]
        answer = client.post(
            SEARCH,
            json={"query": "red"},
            headers={"Origin": SHOP, "Sec-Fetch-Site": "cross-site", "X-API-Key": key},
        )
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Origin" in answer.vary
        assert "Access-Control-Allow-Credentials" not in answer.headers
        refused = client.get(STATS, headers={"Origin": SHOP})
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == SHOP

    @pytest.mark.parametrize(
        "origin",
        [SHOP + ".evil.test", "http://shop.example", "https://evil.test", "null", SHOP + ":8443"],
    )
    def test_no_other_site_is_let_in_with_it(self, client_with, origin: str) -> None:
        client = client_with(cors_origins=(SHOP,))
        for answer in (preflight(client, origin), client.get(STATS, headers={"Origin": origin})):
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in answer.vary

    def test_no_site_is_let_into_the_pages(self, client_with) -> None:
        client = client_with(cors_origins=("*",))
        for path in ("/", "/sign-in", "/by-picture"):
            answer = preflight(client, SHOP, path)
            assert "Access-Control-Allow-Origin" not in answer.headers
        sent = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
        assert client.post("/sign-in", headers=sent).status_code == 403

    def test_all_sites_may_be_let_in_and_then_without_credentials(self, client_with) -> None:
        answer = client_with(cors_origins=("*",)).get(STATS, headers={"Origin": SHOP})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers

    @pytest.mark.parametrize(
        "sent",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.test"},
            {"Origin": "http://localhost:9999"},
            {"Origin": "null"},
        ],
        ids=str,
    )
    def test_what_another_sites_page_sends_is_refused(
        self, client: FlaskClient, sent: dict[str, str]
    ) -> None:
        for path in ("/by-picture", "/language", "/sign-in", "/sign-out", "/knn-service", SEARCH):
            answer = client.post(path, headers=sent, data={"language": "vi", "page": "/"})
            assert answer.status_code == 403, path
            assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize(
        "sent",
        [
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
            {"Sec-Fetch-Site": "none"},
        ],
        ids=str,
    )
    def test_what_our_own_pages_send_is_taken(
        self, client: FlaskClient, sent: dict[str, str]
    ) -> None:
        answer = client.post("/language", headers=sent, data={"language": "vi", "page": "/"})
        assert answer.status_code == 303


class TestProxies:
    def codes(self, client: FlaskClient, proxy: str, addresses: list[str]) -> list[int]:
        return [
            client.get(STATS, headers={"X-Forwarded-For": each}, **from_address(proxy)).status_code
            for each in addresses
        ]

    def test_nobody_is_believed_who_was_not_named(self, client_with) -> None:
        client = client_with(requests_per_minute=1)
        addresses = ["203.0.113.1", "203.0.113.2"]
        assert self.codes(client, "10.0.0.1", addresses) == [200, 429]

    def test_a_proxy_that_was_named_tells_the_clients_address(self, client_with) -> None:
        client = client_with(requests_per_minute=1, trusted_proxies=("10.0.0.0/8",))
        addresses = ["203.0.113.1", "203.0.113.2", "203.0.113.1"]
        assert self.codes(client, "10.0.0.1", addresses) == [200, 200, 429]
        assert self.codes(client, "192.0.2.1", addresses[:2]) == [200, 429]

    def test_a_client_can_not_choose_its_address_by_a_header_of_its_own(self, client_with) -> None:
        client = client_with(requests_per_minute=1, trusted_proxies=("10.0.0.1",))
        forged = ["127.0.0.1, 203.0.113.1", "198.51.100.7, 203.0.113.1"]
        assert self.codes(client, "10.0.0.1", forged) == [200, 429]

    def test_the_name_asked_for_is_not_taken_from_a_header_of_the_client(self, client_with) -> None:
        client = client_with(trusted_proxies=("10.0.0.1",))
        sent = {"Host": "rebinding.test", "X-Forwarded-Host": "localhost"}
        assert client.get(STATS, headers=sent, **from_address("10.0.0.1")).status_code == 421

    def test_the_cookie_of_a_session_is_secure_behind_a_proxy_with_https(
        self, client_with, library: Library
    ) -> None:
        client = client_with(trusted_proxies=("10.0.0.1",))
        key = create_key(library.engine, "a", "read").key
        for proxy, secure in (("10.0.0.1", True), ("10.0.0.2", False)):
            sent = {"X-Forwarded-Proto": "https"}
            answer = client.post("/sign-in", data={"key": key}, headers=sent, **from_address(proxy))
            assert ("; Secure" in answer.headers["Set-Cookie"]) == secure
