"""The peers of service.py: a bundle's graphs behind LitServe and behind BentoML, run by their own environment.

Both are set as their guides say for such a model: batches of up to PEER_BATCH texts (32; 1 = none), in which the
longest pads the others, a wait of 2 ms (LitServe; BentoML finds its wait by itself), one worker that holds the model,
onnxruntime with all cores.

    PYTHON _service_peers.py litserve BUNDLE PORT
    BUNDLE=… PYTHON -m bentoml serve _service_peers:Bento --port PORT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MOST, WAIT_SECONDS = int(os.environ.get("PEER_BATCH", "32")), 0.002


class Model:
    """Texts → label and score, by the graphs of a bundle with one target of kind classify."""

    def __init__(self, bundle: Path) -> None:
        manifest = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
        (target,) = manifest["targets"]
        self.labels, self.temperature = target["labels"], target["spec"].get("temperature", 1.0)
        parts = manifest["parts"]
        self.encoder, self.head = (
            onnxruntime.InferenceSession(str(bundle / parts[name]["file"]), providers=["CPUExecutionProvider"])
            for name in ("encoder.text", f"head.{target['name']}")
        )
        text = manifest["modalities"]["text"]
        self.prefix = text["prefix"]
        self.tokenizer = Tokenizer.from_file(str(bundle / "modality" / "text" / "tokenizer.json"))
        self.tokenizer.enable_padding(pad_id=text["pad_id"])
        self.tokenizer.enable_truncation(text["max_tokens"])

    def __call__(self, texts: list[str]) -> list[dict[str, Any]]:
        rows = self.tokenizer.encode_batch([self.prefix + text for text in texts])
        arrays = {
            "input_ids": np.array([row.ids for row in rows]),
            "attention_mask": np.array([row.attention_mask for row in rows]),
        }
        states, mask = self.encoder.run(["states", "mask"], arrays)
        (logits,) = self.head.run(["logits"], {"states": states, "mask": mask})
        raised = np.exp((logits - logits.max(1, keepdims=True)) / self.temperature)
        shares = raised / raised.sum(1, keepdims=True)
        best = shares.argmax(1)
        told = zip(best.tolist(), shares[np.arange(len(best)), best].tolist(), strict=True)
        return [{"label": self.labels[at], "score": score} for at, score in told]


if sys.argv[1:2] == ["litserve"]:
    import litserve

    class Lit(litserve.LitAPI):
        def setup(self, device: str) -> None:
            self.model = Model(Path(sys.argv[2]))

        def decode_request(self, request: dict[str, str]) -> str:
            return request["text"]

        def predict(self, texts: list[str] | str) -> list[dict[str, Any]] | dict[str, Any]:
            return self.model([texts])[0] if isinstance(texts, str) else self.model(texts)

        def batch(self, inputs: list[str]) -> list[str]:
            return list(inputs)

        def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return output

        def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
            return output


if "BUNDLE" in os.environ:
    import bentoml

    batched: dict[str, Any] = {"batchable": True, "max_batch_size": MOST, "max_latency_ms": 10_000}

    @bentoml.service(workers=1, traffic={"timeout": 60})
    class Bento:
        def __init__(self) -> None:
            self.model = Model(Path(os.environ["BUNDLE"]))

        @bentoml.api(**(batched if MOST > 1 else {}))
        def predict(self, texts: list[str]) -> list[dict[str, Any]]:
            return self.model(texts)


if __name__ == "__main__":
    api = Lit(max_batch_size=MOST, batch_timeout=WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[3]), generate_client_file=False, log_level="error")
