"""Virtual environments of the peers' own, under build/peers: what they pin contradicts what we pin,
and each other."""

import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

PLACE = Path("build/peers")


class PeerFailed(Exception):
    """Says why, for the table."""


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    """What of bench/ runs in its environment."""
    requirements: Path
    """Every package that it needs, pinned; nothing is resolved."""
    borrows_torch: bool = False
    """From the environment that runs this: torch is large, and the same is to be compared."""

    @property
    def folder(self) -> Path:
        return PLACE / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        base = str(self.folder)
        return Path(sysconfig.get_path("purelib", "venv", {"base": base, "platbase": base}))

    def prepare(self) -> None:
        """Install it, unless that was done."""
        wanted = self.requirements.read_text("utf-8")
        done = self.folder / "installed"
        if done.exists() and done.read_text("utf-8") == wanted:
            return
        print(f"installing {self.name} into {self.folder} …", flush=True)
        venv.create(self.folder, clear=True, with_pip=True)
        command = [self.python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement"]
        run_or_say_why(
            [*map(str, command), str(self.requirements)], f"{self.name} can't be installed"
        )
        if self.borrows_torch:
            # Read after its own packages: those it pins win.
            (self.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
        done.write_text(wanted, "utf-8")

    def run(self, *arguments: str) -> None:
        run_or_say_why(
            [str(self.python), "-m", self.module, *arguments], f"{self.name} can't be run"
        )


def run_or_say_why(command: list[str], problem: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise PeerFailed(f"{problem}: {lines[-1] if lines else f'exit {done.returncode}'}")


RCLIP = Peer("rclip", "bench.peers_rclip", Path(__file__).with_name("peers_rclip.txt"))
CLIP_RETRIEVAL = Peer(
    "clip-retrieval",
    "bench.peers_clip_retrieval",
    Path(__file__).with_name("peers_clip_retrieval.txt"),
    borrows_torch=True,
)
