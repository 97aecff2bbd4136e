"""How much room the bundle takes: all files that its manifest lists.

Definition: the size of every file that is listed with its digest: graphs, vocabulary, and weights where they are kept.

Formula: size_mb = bytes / 1,000,000.

How to read: what has to be sent to a machine and lie on its disk; memory in use is `rss_mb` of the audit "speed". The
largest files stand in the table.

Source: counted.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.audit._context import Context
from tunewright.core.bundle import MANIFEST, read_manifest
from tunewright.core.types import Exhibit, Finding, Kind

NEEDS = frozenset({"folder"})
KINDS = None
REMEDY = "try a smaller --backbone, or method lexical, which has none"

SHOWN = 10


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("size_mb",)


def run(context: Context) -> list[Finding]:
    """All files, the largest in a table."""
    if context.folder is None:
        return [Finding("size", "size_mb", None, note="not run, because the model is no bundle at hand")]
    folder = Path(context.folder)
    sizes = _sizes(folder)
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    table = Exhibit("Largest files", "table", ("file", "MB"), tuple((name, size / 1e6) for name, size in largest))
    note = f"{len(sizes)} files"
    return [Finding("size", "size_mb", sum(sizes.values()) / 1e6, n=len(sizes), note=note, exhibits=(table,))]


def _sizes(folder: Path) -> dict[str, int]:
    """File → bytes, without the manifest and the report, whose sizes depend on the run; a plain folder has all."""
    if (folder / MANIFEST).exists():
        return {name: int(entry["size_bytes"]) for name, entry in read_manifest(folder).files.items()}
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


ZH_DOC = """模型包占用多少空间：其清单所列的全部文件。

定义：清单中附有摘要的每个文件的大小：计算图、词表，以及保留的权重。

公式：size_mb = 字节数 / 1,000,000。

解读：这是要传到机器上并存放在磁盘上的量；运行时占用的内存见审计“speed”的 `rss_mb`。表中列出最大的文件。

出处：直接统计。
"""

ZH = {
    REMEDY: "换用更小的 --backbone，或使用不含预训练模型的 lexical 方法",
    "size_mb": "大小（MB）",
    "{} files": "{} 个文件",
    "Largest files": "最大的文件",
    "file": "文件",
    "MB": "MB（兆字节）",
    "not run, because the model is no bundle at hand": "未运行，因为该模型不是手头的模型包",
}
