"""Readers of an API in a process of their own: at a steady pace, or as fast as they are answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import httpx


def load(*, urls: list[str], key: str, readers: int, seconds: float, paced: bool, conditional: bool = False) -> dict[str, Any]:
    """Latencies in seconds by URL, and answers by status. ``paced``: one request a second and reader, else closed loop.

    ``conditional``: each reader sends the ETag of its last answer. Readers start spread over the first second.
    """
    return asyncio.run(_load(urls, key, readers, seconds, paced, conditional))


async def _load(urls: list[str], key: str, readers: int, seconds: float, paced: bool, conditional: bool) -> dict[str, Any]:
    latencies: dict[str, list[float]] = {url: [] for url in urls}
    statuses: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Limits(max_connections=readers, max_keepalive_connections=readers)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=30) as client:
        await asyncio.gather(*(client.get(urls[0]) for _ in range(readers)))  # connections are open, caches are warm
        begin = time.perf_counter() + 0.1

        async def reader(number: int) -> None:
            tags: dict[str, str] = {}
            due = begin + (number / readers if paced else 0)
            turn = number
            while due < begin + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                url = urls[turn % len(urls)]
                turn += 1
                started = time.perf_counter()
                sent = {"If-None-Match": tags[url]} if conditional and url in tags else {}
                try:
                    answer = await client.get(url, headers=sent)
                except httpx.HTTPError as error:
                    statuses[type(error).__name__] += 1
                else:
                    # From the moment it was due: a server that stalls delays those behind as well.
                    latencies[url].append(time.perf_counter() - (due if paced else started))
                    statuses[str(answer.status_code)] += 1
                    if "etag" in answer.headers:
                        tags[url] = answer.headers["etag"]
                due = due + 1 if paced else time.perf_counter()

        await asyncio.gather(*(reader(number) for number in range(readers)))
    return {"latencies": latencies, "statuses": dict(statuses), "seconds": time.perf_counter() - begin}
