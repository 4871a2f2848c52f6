"""Configuration: built-in defaults < config.yaml < POLYGLANCE_* environment < flags."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from platformdirs import user_data_path

from encoders.config import EncoderConfig
from imaging import DecodeLimits
from indexer.config import IndexConfig
from search.config import SearchConfig

DEFAULT_MODEL = "google/siglip2-base-patch16-224"
CONFIG_FILE = "config.yaml"
ENVIRONMENT_PREFIX = "POLYGLANCE_"


class ConfigError(Exception):
    """The configuration can't be used; the message names the key and where it stands."""


@dataclass(frozen=True)
class ServeConfig:
    host: str = "127.0.0.1"
    port: int = 7700
    threads: int = 24
    """Requests answered at the same time. Most of them wait for their turn at the model and the
    index, which take many at once."""
    insecure_no_auth: bool = False
    """Listen beyond this machine although the library has no keys."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the server goes by, beyond localhost and the address it listens on."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For and -Proto are believed."""
    cors_origins: tuple[str, ...] = ()
    """Sites whose scripts may use the API, such as "https://shop.example"; "*" for all."""
    requests_per_minute: int | None = 1200
    """For each key, and for each address beyond this machine; null for no limit."""
    log_format: str = "text"
    """text or json, one object a line."""
    log_queries: bool = False
    """Whether the log says what was searched for."""


@dataclass(frozen=True)
class Config:
    data_dir: Path = field(default_factory=lambda: user_data_path("polyglance"))
    model: str = DEFAULT_MODEL
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)


def load_config(
    path: Path | None, environment: Mapping[str, str], *, data_dir: Path | None = None
) -> Config:
    """path: None takes ./config.yaml if there is one. data_dir: the flag. Raises ConfigError."""
    config = Config()
    if path is None and Path(CONFIG_FILE).is_file():
        path = Path(CONFIG_FILE)
    if path is not None:
        config = _apply(config, _read_yaml(path), str(path))
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            config = _apply(config, _nested(name), f"the environment ({name})", text)
    return config if data_dir is None else replace(config, data_dir=data_dir)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such configuration file.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} can't be read as YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values at the top level.")
    return content


_TEXT = object()
"""Stands for the value of an environment variable, until the key's type is known."""


def _nested(name: str) -> dict[str, Any]:
    """POLYGLANCE_INDEX_BATCH_SIZE → {"index": {"batch_size": …}}."""
    key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
    for section in fields(Config):
        if section.name == key:
            return {key: _TEXT}
    for section in fields(Config):
        if key.startswith(section.name + "_") and is_dataclass(_default_of(section.name)):
            return {section.name: {key.removeprefix(section.name + "_"): _TEXT}}
    return {key: _TEXT}


def _default_of(section: str) -> Any:
    return getattr(Config(), section)


def _apply(target: Any, values: Mapping[str, Any], where: str, text: str = "") -> Any:
    """A copy of the dataclass `target` with `values` in it."""
    kinds = get_type_hints(type(target))
    known = {each.name for each in fields(target)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(_unknown_key(str(key), sorted(known), where))
        current = getattr(target, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {key} holds further keys, not a value.")
            changes[key] = _apply(current, value, where, text)
        else:
            given = yaml.safe_load(text) if value is _TEXT else value
            changes[key] = _converted(key, given, kinds[key], where)
    return replace(target, **changes)


def _unknown_key(key: str, known: list[str], where: str) -> str:
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.0)
    return f"{where}: there is no setting {key!r}. Did you mean {near[0]!r}?"


def _converted(key: str, value: Any, kind: Any, where: str) -> Any:
    options = get_args(kind) if get_origin(kind) is not tuple else ()
    if value is None and type(None) in options:
        return None
    wanted = next((each for each in options if each is not type(None)), kind)
    if wanted is Path and isinstance(value, str):
        return Path(value).expanduser()
    if get_origin(wanted) is tuple and isinstance(value, list):
        return _checked(key, tuple(str(each) for each in value), where)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (
        isinstance(wanted, type)
        and isinstance(value, wanted)
        and not (wanted is int and isinstance(value, bool))
    ):
        return _checked(key, value, where)
    expected = getattr(wanted, "__name__", str(wanted))
    raise ConfigError(f"{where}: {key} is {value!r}; it must be of the type {expected}.")


def _checked(key: str, value: Any, where: str) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
        raise ConfigError(f"{where}: {key} is {value}; it must be more than 0.")
    if key in CHECKS:
        try:
            CHECKS[key](value)
        except ValueError as error:
            raise ConfigError(f"{where}: {key}: {error}.") from None
    return value


def _networks(values: tuple[str, ...]) -> None:
    for each in values:
        ipaddress.ip_network(each)


def _origins(values: tuple[str, ...]) -> None:
    for each in values:
        if each != "*" and not re.fullmatch(r"https?://[^/\s]+/?", each):
            raise ValueError(f'{each!r} is no origin: write it like "https://shop.example"')


def _log_format(value: str) -> None:
    if value not in LOG_FORMATS:
        raise ValueError(f"{value!r} is none of {', '.join(LOG_FORMATS)}")


LOG_FORMATS = ("text", "json")
CHECKS: Mapping[str, Callable[[Any], None]] = {
    "trusted_proxies": _networks,
    "fetch_allowed_networks": _networks,
    "cors_origins": _origins,
    "log_format": _log_format,
}
"""What a value's type does not say; each raises ValueError."""


__all__ = ["Config", "ConfigError", "DecodeLimits", "ServeConfig", "load_config"]
