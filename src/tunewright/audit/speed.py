"""How fast the model answers here: one row at a time, from several callers, in bulk, and after a cold start.

Definition: latency is the time from asking for the answer to one row until it is there. p50 is what half of the
requests take at most, p99 what 99 % take. A cold start is a fresh process that loads the bundle and answers one row.

Formula: p99 = the smallest latency that 99 % of the requests do not exceed; rows_per_s = rows / time of one call with
all of them, the median of three; cold_start_s = wall time of the process, cold_start_cpu_s its processor time, rss_mb
its peak of memory: medians of three.

How to read: without a slice, the rows as they are, one caller. The table shows texts of 8, 32 and 128 words, made
of the rows' own words, at 1, 8 and 32 callers that wait for each other where there are more of them than processors.
The figures hold for this machine as busy as it was: measure where you serve, when it is quiet. An interval of p99 takes
368 requests.

Source: intervals of quantiles by order statistics: David & Nagaraja 2003, Order Statistics, section 7.1.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from tunewright.audit._context import Context
from tunewright.audit._timing import ORDER, Row, cold_start, latencies, quantile, quantile_interval
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.modalities._pieces import pieces

NEEDS = frozenset({"ask", "inputs"})
KINDS = None
COSTLY = True
TIMED = True
REMEDY = "serve on a machine that is less busy, or try a smaller --backbone or method lexical"

WORDS, CALLERS = (8, 32, 128), (1, 8, 32)
REQUESTS, SECONDS = 400, 20.0
"""Of the rows as they are: so many requests, or as many as these seconds allow."""
EACH, SECONDS_EACH = 160, 4.0
"""Of each length and number of callers."""
BULK, TIMES = 1000, 3
QUANTILES = {"p50_ms": 0.5, "p99_ms": 0.99}
COLD = ("cold_start_s", "cold_start_cpu_s", "rss_mb")

clock = time.perf_counter


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return (*QUANTILES, "rows_per_s", *COLD)


def run(context: Context) -> list[Finding]:
    """Latencies of the rows as they are, of texts of three lengths from up to 32 callers, bulk, and the cold start."""
    rows = rows_of(context.inputs)
    if not rows:
        return [
            Finding("speed", name, None, note="not run, because there are no rows") for name in metrics(context.kind)
        ]

    def ask(row: Row) -> Any:
        return context.ask({column: [value] for column, value in row.items()})

    ask(rows[0])  # the first call of a process pays for what later ones find ready
    plain = _measure(ask, rows, "", callers=1, requests=REQUESTS, seconds=SECONDS)
    by_length = [one for words in WORDS for one in _of_length(ask, rows, words)]
    table = Exhibit("Latency by length of text and callers", "table", COLUMNS, tuple(_table(by_length)))
    return [
        replace(plain[0], exhibits=(table,) if by_length else ()),
        *plain[1:],
        *by_length,
        _bulk(context),
        *_cold(context, rows[0]),
    ]


COLUMNS = ("texts", "requests", "p50 in ms", "p99 in ms")


def rows_of(inputs: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Column → values, turned into one record per row."""
    return [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]


def _of_length(ask: Callable[[Row], Any], rows: Sequence[Row], words: int) -> list[Finding]:
    texts = of_length(rows, words)
    return [
        finding
        for callers in (CALLERS if texts else ())
        for finding in _measure(
            ask, texts, _named(words, callers), callers=callers, requests=EACH, seconds=SECONDS_EACH
        )
    ]


def _named(words: int, callers: int) -> str:
    return f"{words} words, {callers} {'caller' if callers == 1 else 'callers'}"


def of_length(rows: Sequence[Row], words: int, most: int = 50) -> list[dict[str, Any]]:
    """Rows whose first text has exactly so many words: those of the rows in order, over and over; none without text."""
    column = next((name for name, value in rows[0].items() if isinstance(value, str)), None)
    texts = [str(row[column] or "") for row in rows] if column is not None else []
    own = [text[start:end] for text in texts[: 200 * most] for start, end in pieces(text).tolist()]
    if column is None or not own:
        return []
    cut = [[own[(at * words + step) % len(own)] for step in range(words)] for at in range(most)]
    return [{**rows[at % len(rows)], column: " ".join(found)} for at, found in enumerate(cut)]


def _measure(ask: Callable[[Row], Any], rows: Sequence[Row], part: str, **how: Any) -> list[Finding]:
    took = latencies(ask, rows, clock=clock, **how) * 1000
    found = []
    for name, q in QUANTILES.items():
        low, high = quantile_interval(took, q) or (None, None)
        source = "" if low is None else ORDER
        note = "too few requests for an interval" if low is None else "" if part else _machine()
        found.append(
            Finding("speed", name, quantile(took, q), low, high, len(took), slice=part, source=source, note=note)
        )
    return found


def _machine() -> str:
    """Where it was measured; the load is that of the last minute, where the system tells it."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
    return f"{os.cpu_count() or 1} processors, load {load}"


def _table(found: Sequence[Finding]) -> list[tuple[str, int, float, float]]:
    values = {(one.slice, one.metric): one.value or 0.0 for one in found}
    rows = {one.slice: one.n for one in found}
    return [(part, n, values[part, "p50_ms"], values[part, "p99_ms"]) for part, n in rows.items()]


def _bulk(context: Context) -> Finding:
    columns = {name: list(values)[:BULK] for name, values in context.inputs.items()}
    n, times = len(next(iter(columns.values()))), []
    for _ in range(TIMES):
        begun = clock()
        context.ask(columns)
        times.append(max(clock() - begun, 1e-9))
    rates = sorted(n / one for one in times)
    note = f"median of {TIMES} calls: {rates[0]:.0f} to {rates[-1]:.0f}"
    return Finding("speed", "rows_per_s", float(median(rates)), n=n, note=note)


def _cold(context: Context, row: Row) -> list[Finding]:
    if context.folder is None:
        return [Finding("speed", name, None, note="not run, because the model is no bundle at hand") for name in COLD]
    try:
        starts = [cold_start(context.folder, row) for _ in range(TIMES)]
    except (RuntimeError, TypeError, OSError) as error:  # a value that JSON cannot hold is a TypeError
        note = (
            f"failed: {error}"
            if isinstance(error, RuntimeError)
            else "not run, because no fresh process could be asked"
        )
        return [Finding("speed", name, None, note=note) for name in COLD]
    values = (
        median(one.wall_s for one in starts),
        median(one.cpu_s for one in starts),
        median(one.peak_mb for one in starts),
    )
    note = f"median of {TIMES} fresh processes"
    return [Finding("speed", name, value, n=TIMES, note=note) for name, value in zip(COLD, values, strict=True)]


ZH_DOC = """模型在此处作答有多快：逐行、多个调用者同时、成批，以及冷启动之后。

定义：延迟是从请求一行的回答到得到它的时间。p50 是一半请求不超过的时间，p99 是 99% 的请求不超过的时间。冷启动指一个全新
的进程加载模型包并回答一行。

公式：p99 = 99% 的请求不超过的最小延迟；rows_per_s = 行数 / 一次调用全部行的时间，取三次的中位数；cold_start_s = 该进程
的总时间，cold_start_cpu_s 为处理器时间，rss_mb 为内存峰值：均为三次的中位数。

解读：未注明数据片者为原样的行、一个调用者。表中是由各行自己的词组成的 8、32、128 词文本，在 1、8、32 个调用者下的结果；
调用者多于处理器时会相互等待。数值只对当时繁忙程度下的这台机器成立：请在提供服务的机器空闲时测量。
p99 的区间需要 368 次请求。

出处：次序统计量给出的分位数区间：David & Nagaraja 2003, Order Statistics, 第7.1节。
"""

ZH = {
    REMEDY: "在较空闲的机器上提供服务，或换用更小的 --backbone 或 lexical 方法",
    "p50_ms": "延迟中位数（毫秒）",
    "p99_ms": "99%分位延迟（毫秒）",
    "rows_per_s": "每秒行数",
    "cold_start_s": "冷启动（秒）",
    "cold_start_cpu_s": "冷启动处理器时间（秒）",
    "rss_mb": "内存峰值（MB）",
    "{} processors, load {}": "{} 个处理器，负载 {}",
    "too few requests for an interval": "请求太少，没有区间",
    "median of {} calls: {} to {}": "{} 次调用的中位数：{} 至 {}",
    "median of {} fresh processes": "{} 个全新进程的中位数",
    "not run, because the model is no bundle at hand": "未运行，因为该模型不是手头的模型包",
    "not run, because no fresh process could be asked": "未运行，因为无法向全新的进程提问",
    "failed: a fresh process gave no answer in {} s": "失败：全新的进程在 {} 秒内没有回答",
    "failed: a fresh process ended with exit code {}": "失败：全新的进程以退出码 {} 结束",
    "not run, because there are no rows": "未运行，因为没有数据行",
    "Latency by length of text and callers": "按文本长度与调用者数目的延迟",
    "texts": "文本",
    "requests": "请求数",
    "p50 in ms": "p50（毫秒）",
    "p99 in ms": "p99（毫秒）",
}
