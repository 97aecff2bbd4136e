"""Sample rows to try the line on: messages to a fictional online shop with their intents, in English and Chinese.

``support_train.csv`` and ``support_test.csv`` (240 and 80 rows), ``support_zh_train.csv`` and ``support_zh_test.csv``
(120 and 40), each with the columns ``text`` and ``intent``, eight intents of equal size. Written for this project.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.core.errors import TunewrightError, nearest

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """File names of the samples, sorted.

    >>> names()[0]
    'support_test.csv'
    """
    return sorted(path.name for path in FOLDER.glob("*.csv"))


def path(name: str) -> Path:
    """Where a sample lies.

    Raises
    ------
    TunewrightError
        There is no sample of this name (with the nearest one).
    """
    if name not in names():
        raise TunewrightError(f"there is no sample {name!r}", nearest(name, names()))
    return FOLDER / name


def write(folder: Path) -> list[Path]:
    """Copy all samples into ``folder``, which is made if need be; returns the files.

    Raises
    ------
    TunewrightError
        A file of that name holds something else, or the folder cannot be written.
    """
    written = [folder / name for name in names()]
    for target in written:
        if target.is_file() and target.read_bytes() != path(target.name).read_bytes():
            raise TunewrightError(f"{target}: it exists already and holds something else", "choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in written:
            target.write_bytes(path(target.name).read_bytes())
    except OSError as error:
        raise TunewrightError(f"{folder}: cannot be written: {error.strerror}", "choose another folder") from None
    return written
