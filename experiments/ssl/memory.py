"""Peak memory and CPU time of one contrastive step by batch size, with all activations kept and with gradient caching.

    python experiments/ssl/memory.py [chunk [batch ...]]

Each row is a process of its own on the CPU: ResNet-18 with GroupNorm on 2-band images of 64 pixels and on 13-band ones,
NT-Xent of both. Memory is the highest resident size during the step less that before it.
"""

from __future__ import annotations

import subprocess
import sys

STEP = """
import resource, sys, time
from pathlib import Path
import timm, torch
from torch import nn
from geozoo.ssl.grad_cache import encode_in_chunks
from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.options import NtXentOptions

batch, chunk = map(int, sys.argv[1:])
torch.manual_seed(0)
torch.set_num_threads(1)
norm = lambda channels, **_: nn.GroupNorm(8, channels)
encoders = [timm.create_model("resnet18", in_chans=bands, num_classes=128, norm_layer=norm) for bands in (2, 13)]
images = [torch.randn(batch, bands, 64, 64) for bands in (2, 13)]

def step(images):
    encode = (lambda e, x: encode_in_chunks(e, x, chunk)) if chunk else (lambda e, x: e(x))
    loss = make_loss(NtXentOptions())(*(encode(e, x) for e, x in zip(encoders, images)))["loss"]
    loss.backward()
    return float(loss.detach())

step([rows[:2] for rows in images])  # gradients, and what libraries keep
before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
started = time.process_time()
loss = step(images)
seconds = time.process_time() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(f"{max(0, peak - before) / 2**20:.0f} {seconds:.2f} {loss:.6f}")
"""


def main(chunk: int = 16, *batches: int) -> None:
    """Print a table: MiB, CPU seconds and the loss, which must not depend on the way."""
    print(f"chunks of {chunk}\nbatch | kept MiB | cached MiB | kept CPU s | cached CPU s | kept loss | cached loss")
    for batch in batches or (32, 64, 128, 256):
        kept, cached = (_measure(batch, size) for size in (0, chunk))
        print(" | ".join([f"{batch:5}", *(f"{a} | {b}" for a, b in zip(kept, cached, strict=True))]))


def _measure(batch: int, chunk: int) -> list[str]:
    command = [sys.executable, "-c", STEP, str(batch), str(chunk)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
