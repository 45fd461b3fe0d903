"""Moving textured backgrounds: two layers of noise that drift in different directions.

No single camera motion explains both layers, so the background never makes a resting object seem to
move. Colours are muted and dark, so that every object colour stands out.
"""

import numpy as np

LEVEL = (38, 88)
TINT = 14
CONTRAST = (14, 26)
SMOOTHNESS = (0.02, 0.07)
"""Standard deviation of the blur, as a share of the frame's side."""
SPEED = (0.002, 0.012)
"""Drift per frame, as a share of the frame's side."""
WAVES = (2, 6)
WAVE_SHARE = 0.2


def draw_background(frames: int, size: int, style: str, rng: np.random.Generator) -> np.ndarray:
    """Draw background frames (T,H,W,3) float32, 0 to 255; one flat colour in plain style."""
    base = rng.uniform(*LEVEL) + rng.uniform(-TINT, TINT, size=3)
    if style == "plain":
        return np.broadcast_to(base.astype(np.float32), (frames, size, size, 3)).copy()
    total = np.zeros((frames, size, size, 1), np.float32)
    heading = rng.uniform(0, 2 * np.pi)
    for angle in (0.0, rng.uniform(np.pi / 2, 3 * np.pi / 2)):
        layer = _waves(size, rng) if rng.random() < WAVE_SHARE else _noise(size, rng)
        layer *= rng.uniform(*CONTRAST)
        speed = rng.uniform(*SPEED) * size
        step = speed * np.array([np.sin(heading + angle), np.cos(heading + angle)])
        total[..., 0] += np.stack([_shift(layer, step * t) for t in range(frames)])
    tint = rng.uniform(0.8, 1.2, size=3).astype(np.float32)
    return np.clip(base.astype(np.float32) + total * tint, 0, 255)


def _noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (H,W) of unit deviation that tiles without a seam."""
    blur = rng.uniform(*SMOOTHNESS) * size
    frequency = np.fft.fftfreq(size)
    damping = np.exp(-2 * (np.pi * blur) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * damping).real
    return (noise / noise.std()).astype(np.float32)


def _waves(size: int, rng: np.random.Generator) -> np.ndarray:
    """A wavy pattern (H,W) of about unit deviation, with whole periods along both axes."""
    position = np.arange(size) / size
    across, along = rng.integers(*WAVES, size=2) * np.array([1, rng.choice([-1, 1])])
    phase = 2 * np.pi * (across * position[:, None] + along * position[None, :])
    return (2**0.5 * np.sin(phase + np.sin(phase * 2) / 2)).astype(np.float32)


def _shift(layer: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Move a layer (H,W) by a fractional offset (rows, columns), wrapped around."""
    whole = np.floor(offset).astype(int)
    down, right = (offset - whole).astype(np.float32)
    moved = np.roll(layer, whole, axis=(0, 1))
    moved = (1 - down) * moved + down * np.roll(moved, 1, axis=0)
    return (1 - right) * moved + right * np.roll(moved, 1, axis=1)
