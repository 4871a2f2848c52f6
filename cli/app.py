"""What every command shares: the configuration, the library, the encoder."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

from cli.errors import CommandError

if TYPE_CHECKING:
    from cli.config import Config
    from encoders import Encoder
    from search.engine import SearchEngine
    from search.ranking.background import Background
    from storage.library import Library


@dataclass
class App:
    """One run of the command line."""

    config_file: Path | None
    data_dir: Path | None

    @cached_property
    def config(self) -> "Config":
        from cli.config import load_config

        return load_config(self.config_file, os.environ, data_dir=self.data_dir)

    def open_library(self, *, create: bool = False) -> "Library":
        from storage.library import Library

        try:
            return Library.open(self.config.data_dir, create=create)
        except OSError as error:
            raise CommandError(
                f"The data directory {self.config.data_dir} can't be used: {error.strerror}. "
                "Name another with --data-dir."
            ) from error

    def load_encoder(self, checkpoint: str, golden_home: Path) -> "Encoder":
        """Load, and prove by the self-test that it is what it was.

        golden_home: the folder below which reference embeddings are kept. Raises EncoderError.
        """
        from cli.precision import runs_int8, use_calibration
        from encoders import SelfTestFailed
        from encoders.load import load_encoder
        from encoders.selftest import NpzGoldenStore, run_self_test

        click.echo(f"Loading the model {checkpoint} …", err=True)
        encoder = load_encoder(checkpoint, self.config.encoder)
        golden = NpzGoldenStore(golden_home / "golden" / f"{encoder.space.fingerprint[:16]}.npz")
        use_calibration(encoder, golden_home)
        try:
            run_self_test(encoder, golden)
        except SelfTestFailed as error:
            if not runs_int8(encoder):
                raise
            click.echo(f"Not in 8 bits: {error} Loading it in float32 …", err=True)
            encoder = load_encoder(checkpoint, replace(self.config.encoder, dtype="float32"))
            run_self_test(encoder, golden)
        return encoder

    def load_encoder_of(self, library: "Library") -> "Encoder":
        """The encoder of the library's active space, or the configured one for a new library.

        Raises EncoderError, SpaceMismatch.
        """
        from storage.spaces import require_same_space

        space = library.active_space()
        encoder = self.load_encoder(
            space.checkpoint if space else self.config.model, library.data_dir
        )
        if space is not None:
            require_same_space(space, encoder.space, library.data_dir)
        return encoder

    def open_engine(self, library: "Library") -> "SearchEngine":
        """The engine over the library's active space, with the model that made it."""
        from search.query.languages import load_language_model

        space = library.active_space()
        if space is None:
            raise CommandError(
                f"The library in {library.data_dir} is empty. Index a folder first: "
                "polyglance index FOLDER"
            )
        # Unpacked beside the loading of the model; the first query would wait for it.
        Thread(target=load_language_model, name="language", daemon=True).start()
        encoder = self.load_encoder(space.checkpoint, library.data_dir)
        return self.engine_over(library, encoder, library.data_dir)

    def engine_over(
        self, library: "Library", encoder: "Encoder", golden_home: Path
    ) -> "SearchEngine":
        """encoder: from `load_encoder`, with the same golden_home."""
        from search.engine import SearchEngine

        engine = SearchEngine(
            library,
            encoder,
            self.config.search,
            lambda: self.background_of(encoder, golden_home),
        )
        engine.model_is_proven = True  # or load_encoder had raised
        return engine

    def background_of(self, encoder: "Encoder", home: Path) -> "Background":
        """What relevance is judged against; made on first need and kept beside the library."""
        from search.ranking.background import (
            embed_background,
            load_background,
            save_background,
        )

        path = home / "golden" / f"{encoder.space.fingerprint[:16]}-background.npz"
        background = load_background(path)
        if background is None:
            click.echo("Calibrating relevance (once for a model) …", err=True)
            background = embed_background(encoder)
            save_background(background, path)
        return background
