from pathlib import Path

import pytest

from cli.config import DEFAULT_MODEL, Config, ConfigError, load_config


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_stand_when_nothing_is_said(in_empty_folder: Path) -> None:
    config = load_config(None, {})
    assert config == Config()
    assert config.model == DEFAULT_MODEL
    assert (config.serve.host, config.serve.port) == ("127.0.0.1", 7700)


def test_the_file_beats_the_defaults_the_environment_the_file_and_flags_all(
    in_empty_folder: Path,
) -> None:
    Path("config.yaml").write_text(
        "data_dir: /from/file\nmodel: from/file\nindex: {batch_size: 4, workers: 3}\n"
    )
    environment = {
        "POLYGLANCE_MODEL": "from/environment",
        "POLYGLANCE_INDEX_BATCH_SIZE": "5",
        "POLYGLANCE_DATA_DIR": "/from/environment",
        "HOME": "/home/somebody",
    }
    config = load_config(None, environment, data_dir=Path("/from/flag"))
    assert config.data_dir == Path("/from/flag")
    assert config.model == "from/environment"
    assert (config.index.batch_size, config.index.workers) == (5, 3)


def test_nested_settings_and_lists_are_read(in_empty_folder: Path) -> None:
    Path("mine.yaml").write_text(
        "index:\n  exclude: ['*.tmp']\n  commit_seconds: 3\n  limits: {max_pixels: 5}\n"
    )
    config = load_config(Path("mine.yaml"), {})
    assert config.index.exclude == ("*.tmp",)
    assert config.index.commit_seconds == 3.0
    assert config.index.limits.max_pixels == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle: x", "'modle'. Did you mean 'model'"),
        ("index: {batchsize: 4}", "'batchsize'. Did you mean 'batch_size'"),
        ("index: {batch_size: many}", "batch_size is 'many'; it must be of the type int"),
        ("index: {batch_size: true}", "must be of the type int"),
        ("index: {batch_size: 0}", "more than 0"),
        ("index: 5", "index holds further keys"),
        ("- a list", "keys and values"),
        ("a: [", "can't be read as YAML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(
    in_empty_folder: Path, text: str, words: str
) -> None:
    Path("config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml") as raised:
        load_config(None, {})
    assert words in str(raised.value)


def test_an_unknown_variable_in_the_environment_is_named(in_empty_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"POLYGLANCE_INDEX_BATCHSIZE.*batch_size"):
        load_config(None, {"POLYGLANCE_INDEX_BATCHSIZE": "4"})


def test_the_commented_defaults_in_config_yaml_are_the_built_in_ones(
    in_empty_folder: Path,
) -> None:
    shipped = (Path(__file__).parents[2] / "config.yaml").read_text()
    live = "\n".join(
        line.removeprefix("# ")
        for line in shipped.splitlines()
        if ":" in line and line.startswith("# ") and not line.endswith(".")
    )
    Path("config.yaml").write_text(live)
    config = load_config(None, {})
    expected = Config()
    assert config.search == expected.search
    assert config.serve == expected.serve
    assert config.encoder == expected.encoder
    assert config.model == expected.model
    assert config.index.limits == expected.index.limits
    assert config.index.exclude == expected.index.exclude
