# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The process of the scheduler against formulas written out here, and the contract of diffusers."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seeclear.schedulers import BlurringResShiftScheduler
from seeclear.schedulers.scheduling_blurring_resshift import SAMPLERS, inverse_patch_dct, patch_dct

T, KAPPA, P = 15, 2.0, 8
STOCHASTIC = ("markov", "resshift")
# Steps (t, s) of the paper: all neighbours, and jumps as in a subset of the steps.
JUMPS = [(t, t - 1) for t in range(2, T + 1)] + [(15, 1), (15, 7), (11, 4), (8, 2)]


def hand_eta(t: int) -> float:
    """ResShift's exponential schedule of 15 steps, written out."""
    start = min(0.04 / KAPPA, 0.04)
    return 0.0 if t == 0 else (start * (0.99 / start) ** (((t - 1) / (T - 1)) ** 0.3)) ** 2


def hand_damping(t: int, sigma_max: float = 2**0.5) -> Tensor:
    """d_t (8, 8) of the paper, written out one frequency at a time."""
    if t == 0 or sigma_max == 0:
        return torch.ones(P, P, dtype=torch.float64)
    sigma = math.exp(math.log(0.1) + (math.log(sigma_max) - math.log(0.1)) * (t - 1) / (T - 1))
    rows = [[math.exp(-(math.pi**2) * (i * i + j * j) / P**2 * sigma**2 / 2) for j in range(P)] for i in range(P)]
    return torch.tensor(rows, dtype=torch.float64)


def hand_transition(t: int, s: int) -> tuple[Tensor, float, Tensor]:
    """u_t | u_s = factor u_s + (shift of u_y) + N(0, variance): (28, 31) with the corrected variance."""
    factor = (1 - hand_eta(t)) * hand_damping(t) / ((1 - hand_eta(s)) * hand_damping(s))
    shift = hand_eta(t) - factor * hand_eta(s)
    return factor, shift, KAPPA**2 * (hand_eta(t) - factor**2 * hand_eta(s))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scheduler_at(
    steps: int | None = None, timesteps: list[int] | None = None, **kwargs: Any
) -> BlurringResShiftScheduler:
    scheduler = BlurringResShiftScheduler(**kwargs)
    scheduler.set_timesteps(steps, timesteps=timesteps)
    return scheduler


def prev(scheduler: BlurringResShiftScheduler, *args: Any, **kwargs: Any) -> Tensor:
    return scheduler.step(*args, return_dict=False, **kwargs)[0]


# --- transforms and schedules ---------------------------------------------------------------------------------------


def explicit_dct(patch: Tensor) -> Tensor:
    """DCT-II of one patch by its double sum."""
    p = patch.shape[-1]
    out = torch.zeros(p, p, dtype=torch.float64)
    for i in range(p):
        for j in range(p):
            scale = (math.sqrt(1 / p) if i == 0 else math.sqrt(2 / p)) * (
                math.sqrt(1 / p) if j == 0 else math.sqrt(2 / p)
            )
            for m in range(p):
                for n in range(p):
                    basis = math.cos(math.pi * (2 * m + 1) * i / (2 * p)) * math.cos(
                        math.pi * (2 * n + 1) * j / (2 * p)
                    )
                    out[i, j] += scale * basis * patch[m, n]
    return out


@pytest.mark.parametrize("p", [3, 4])  # odd and even patches take different products
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_patch_dct_is_the_double_sum_in_every_patch(p: int, columns: int) -> None:
    frames = normal(2, 2 * p, columns * p)
    u = patch_dct(frames, p)
    for frame in range(2):
        for a in range(0, 2 * p, p):
            for b in range(0, columns * p, p):
                patch = slice(a, a + p), slice(b, b + p)
                torch.testing.assert_close(u[frame][patch], explicit_dct(frames[frame][patch]))


def test_patch_dct_by_hand() -> None:
    """p = 2: sums and differences, halved. [[1, 2], [3, 6]] -> [[12, -4], [-6, 2]] / 2."""
    u = patch_dct(torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=torch.float64), 2)
    torch.testing.assert_close(u, torch.tensor([[6.0, -2.0], [-3.0, 1.0]], dtype=torch.float64))


@pytest.mark.parametrize("patch_size", [1, 2, 3, 8, 16])
def test_patch_dct_keeps_energy_and_is_inverted(patch_size: int) -> None:
    frames = normal(2, 3, 2 * patch_size, 3 * patch_size)
    u = patch_dct(frames, patch_size)
    torch.testing.assert_close(u.square().sum(), frames.square().sum())
    torch.testing.assert_close(inverse_patch_dct(u, patch_size), frames)


def test_dct_is_not_lowered_by_autocast_and_carries_gradients() -> None:
    frames = normal(1, 3, 8, 16).float().requires_grad_()
    with torch.inference_mode():
        patch_dct(normal(16, 16, seed=1).float(), 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        u = patch_dct(frames, 8)
    assert u.dtype == torch.float32
    torch.testing.assert_close(u.double(), patch_dct(frames.double(), 8), atol=1e-5, rtol=0)
    patch_dct(normal(16, 16).float().requires_grad_(), 16).sum().backward()
    u.square().sum().backward()
    torch.testing.assert_close(frames.grad, 2 * frames.detach(), atol=1e-5, rtol=1e-5)


def test_endpoints_and_course_of_the_schedules() -> None:
    scheduler = BlurringResShiftScheduler()
    etas, sigmas = scheduler.etas, (2 * scheduler.taus).sqrt()
    assert etas.dtype == scheduler.taus.dtype == torch.float64 and len(etas) == len(sigmas) == T + 1
    assert etas[0] == 0 and sigmas[0] == 0
    assert etas[1].item() == pytest.approx(0.02**2) and etas[T].item() == pytest.approx(0.99**2)
    assert sigmas[1].item() == pytest.approx(0.1) and sigmas[T].item() ** 2 == pytest.approx(2)
    assert (etas.diff() > 0).all() and (sigmas.diff() > 0).all()
    assert etas.tolist() == pytest.approx([hand_eta(t) for t in range(T + 1)])
    ratios = sigmas[2:] / sigmas[1:-1]
    torch.testing.assert_close(ratios, ratios[0].expand(T - 1))
    assert scheduler.init_noise_sigma == pytest.approx(KAPPA * 0.99)


def test_one_training_step_is_the_end_of_the_schedule() -> None:
    scheduler = BlurringResShiftScheduler(num_train_timesteps=1)
    assert scheduler.etas.tolist() == pytest.approx([0, 0.99**2])
    assert scheduler.taus.tolist() == pytest.approx([0, 1])


# --- the equations, in float64 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", range(1, T + 1))
def test_add_noise_is_the_marginal_for_every_frequency(t: int) -> None:
    """DCT of the result = (1 - eta_t) d_t u_0 + eta_t u_y + kappa sqrt(eta_t) eps (25, 29)."""
    x_0, y, noise = (normal(1, 1, P, P, seed=i) for i in range(3))
    u_t = patch_dct(BlurringResShiftScheduler().add_noise(x_0, noise, torch.tensor([t - 1]), low_res=y), P)
    u_0, u_y, eps = (patch_dct(x, P) for x in (x_0, y, noise))
    eta = hand_eta(t)
    torch.testing.assert_close(u_t, (1 - eta) * hand_damping(t) * u_0 + eta * u_y + KAPPA * math.sqrt(eta) * eps)


@pytest.mark.parametrize(("t", "s"), JUMPS)
def test_the_corrected_transition_takes_marginal_to_marginal(t: int, s: int) -> None:
    """Mean and variance at s, taken through u_t = lambda u_s + shift u_y + noise, are the scheduler's at t."""
    scheduler = BlurringResShiftScheduler()
    x_0, y, none = normal(1, 1, P, P), normal(1, 1, P, P, seed=1), torch.zeros(1, 1, P, P, dtype=torch.float64)
    m_t, m_s = (patch_dct(scheduler.add_noise(x_0, none, torch.tensor(k - 1), y), P)[0, 0] for k in (t, s))
    # add_noise of white noise alone is its standard deviation times the noise
    std_t, std_s = (scheduler.add_noise(none, none + 1, torch.tensor(k - 1))[0, 0] for k in (t, s))
    factor, shift, variance = hand_transition(t, s)
    torch.testing.assert_close(factor * m_s + shift * patch_dct(y, P)[0, 0], m_t)
    torch.testing.assert_close(factor**2 * std_s**2 + variance, std_t**2)
    assert (variance > 0).all()
    # The printed variance (31), kappa^2 (eta_t - eta_s), does not keep the marginal: its total is wrong.
    printed = factor**2 * std_s**2 + KAPPA**2 * (hand_eta(t) - hand_eta(s))
    assert ((printed - std_t**2).abs() / std_t**2).min() > 1e-4


@pytest.mark.parametrize(("t", "s"), JUMPS)
def test_markov_step_is_bayes_rule(t: int, s: int) -> None:
    """p(u_s | u_t) from the product of two Gaussians: the marginal at s, N(m_s, v_s), and the transition."""
    scheduler = scheduler_at(timesteps=[t - 1, s - 1], sampler="markov")
    x_0, y, x_t, noise = (normal(1, 1, P, P, seed=i) for i in range(4))
    u_0, u_y, u_t, eps = (patch_dct(x, P)[0, 0] for x in (x_0, y, x_t, noise))
    m_s = (1 - hand_eta(s)) * hand_damping(s) * u_0 + hand_eta(s) * u_y
    v_s = KAPPA**2 * hand_eta(s)
    factor, shift, variance = hand_transition(t, s)
    precision = 1 / v_s + factor**2 / variance
    mean = (m_s / v_s + factor * (u_t - shift * u_y) / variance) / precision
    u_s = patch_dct(prev(scheduler, x_0, t - 1, x_t, low_res=y, variance_noise=noise), P)[0, 0]
    torch.testing.assert_close(u_s, mean + precision**-0.5 * eps, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize(("t", "s"), JUMPS)
def test_without_blur_resshift_is_resshift(t: int, s: int) -> None:
    """ResShift: mean eta_s / eta_t x_t + alpha_t / eta_t x_0, variance kappa^2 eta_s / eta_t alpha_t; no y in it."""
    scheduler = scheduler_at(timesteps=[t - 1, s - 1], sampler="resshift", blur_sigma_max=0)
    x_0, y, x_t, noise = (normal(2, 3, 5, 7, seed=i) for i in range(4))
    eta_t, eta_s = hand_eta(t), hand_eta(s)
    alpha = eta_t - eta_s
    expected = eta_s / eta_t * x_t + alpha / eta_t * x_0 + KAPPA * math.sqrt(eta_s / eta_t * alpha) * noise
    actual = prev(scheduler, x_0, t - 1, x_t, low_res=y, variance_noise=noise)
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=1e-9)
    x_t = scheduler.add_noise(x_0, noise, torch.tensor(t - 1), low_res=y)
    torch.testing.assert_close(x_t, x_0 + eta_t * (y - x_0) + KAPPA * math.sqrt(eta_t) * noise)


@pytest.mark.parametrize("blur_sigma_max", [0.0, 2**0.5])
@pytest.mark.parametrize(("t", "s"), JUMPS)
def test_ddim_keeps_the_noise_and_draws_none(t: int, s: int, blur_sigma_max: float) -> None:
    """With the true x_0 a ddim step goes from the marginal at t to the one at s with the same eps."""
    scheduler = scheduler_at(timesteps=[t - 1, s - 1], sampler="ddim", blur_sigma_max=blur_sigma_max)
    x_0, y, noise = (normal(2, 3, 8, 16, seed=i) for i in range(3))
    x_t, x_s = (scheduler.add_noise(x_0, noise, torch.tensor(k - 1), low_res=y) for k in (t, s))
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    torch.testing.assert_close(prev(scheduler, x_0, t - 1, x_t, low_res=y, generator=generator), x_s)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", range(1, T + 1))
def test_a_perfect_predictor_returns_x0_exactly(sampler: str, steps: int) -> None:
    scheduler = scheduler_at(steps, sampler=sampler)
    x_0, y = normal(1, 3, 8, 16), normal(1, 3, 8, 16, seed=1)
    generator = torch.Generator().manual_seed(2)
    x = y + scheduler.init_noise_sigma * normal(1, 3, 8, 16, seed=3)
    assert len(scheduler.timesteps) == scheduler.num_inference_steps == steps
    for timestep in scheduler.timesteps:
        output = scheduler.step(x_0, timestep, x, low_res=y, generator=generator)
        assert torch.equal(output.pred_original_sample, x_0) and torch.isfinite(output.prev_sample).all()
        x = output.prev_sample
    assert torch.equal(x, x_0)


# --- Monte Carlo ----------------------------------------------------------------------------------------------------


def assert_moments(samples: Tensor, mean: Tensor, variance: float) -> None:
    """Mean and variance of n Gaussian samples (n, p, p) within 5 standard errors for each of the 64 frequencies."""
    n = len(samples)
    assert ((samples.mean(0) - mean).abs() < 5 * math.sqrt(variance / n)).all()
    assert ((samples.var(0) - variance).abs() < 5 * variance * math.sqrt(2 / (n - 1))).all()


@pytest.mark.parametrize("t", [1, 5, T])
def test_ten_thousand_samples_have_the_stated_moments(t: int) -> None:
    n = 10_000
    x_0, y = normal(1, 1, P, P), normal(1, 1, P, P, seed=1)
    x_t = BlurringResShiftScheduler().add_noise(
        x_0.expand(n, 1, P, P), normal(n, 1, P, P, seed=2), torch.full((n,), t - 1), y.expand(n, 1, P, P)
    )
    mean = (1 - hand_eta(t)) * hand_damping(t) * patch_dct(x_0, P) + hand_eta(t) * patch_dct(y, P)
    assert_moments(patch_dct(x_t, P)[:, 0], mean[0, 0], KAPPA**2 * hand_eta(t))


@pytest.mark.parametrize("steps", [15, 4])
@pytest.mark.parametrize("sampler", STOCHASTIC)
def test_a_chain_with_the_true_x0_keeps_the_marginals(sampler: str, steps: int) -> None:
    n = 10_000
    scheduler = scheduler_at(steps, sampler=sampler)
    x_0, y = normal(1, 1, P, P).expand(n, 1, P, P), normal(1, 1, P, P, seed=1).expand(n, 1, P, P)
    generator = torch.Generator().manual_seed(3)
    x = scheduler.add_noise(x_0, normal(n, 1, P, P, seed=2), scheduler.timesteps[0], y)
    for timestep, following in zip(scheduler.timesteps[:-1], scheduler.timesteps[1:], strict=True):
        x = prev(scheduler, x_0, timestep, x, low_res=y, generator=generator)
        s = int(following) + 1
        mean = (1 - hand_eta(s)) * hand_damping(s) * patch_dct(x_0[0, 0], P) + hand_eta(s) * patch_dct(y[0, 0], P)
        assert_moments(patch_dct(x, P)[:, 0], mean, KAPPA**2 * hand_eta(s))


# --- shapes, dtypes, timesteps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("blur_sigma_max", [0.0, 2**0.5])
def test_video_equals_its_frames(sampler: str, blur_sigma_max: float) -> None:
    scheduler = scheduler_at(4, sampler=sampler, blur_sigma_max=blur_sigma_max)
    x_0, x_t, y, noise = (normal(2, 5, 3, 8, 24, seed=i) for i in range(4))
    timestep = scheduler.timesteps[1]
    video = prev(scheduler, x_0, timestep, x_t, low_res=y, variance_noise=noise)
    noised = scheduler.add_noise(x_0, noise, torch.tensor([3, 11]), y)
    assert video.shape == noised.shape == x_0.shape
    for f in range(5):
        frame = prev(scheduler, x_0[:, f], timestep, x_t[:, f], low_res=y[:, f], variance_noise=noise[:, f])
        torch.testing.assert_close(video[:, f], frame)
        torch.testing.assert_close(
            noised[:, f], scheduler.add_noise(x_0[:, f], noise[:, f], torch.tensor([3, 11]), y[:, f])
        )


def test_timesteps_for_each_sample() -> None:
    scheduler = BlurringResShiftScheduler()
    x_0, noise, y = (normal(4, 3, 8, 8, seed=i) for i in range(3))
    timesteps = torch.tensor([0, 14, 3, 3])
    noised, scaled = scheduler.add_noise(x_0, noise, timesteps, y), scheduler.scale_model_input(x_0, timesteps)
    for b, i in enumerate(timesteps.tolist()):
        one = slice(b, b + 1)
        torch.testing.assert_close(noised[one], scheduler.add_noise(x_0[one], noise[one], timesteps[b], y[one]))
        torch.testing.assert_close(scaled[one], x_0[one] / math.sqrt(KAPPA**2 * hand_eta(i + 1) + 1))
    torch.testing.assert_close(scheduler.add_noise(x_0, noise, 3), scheduler.add_noise(x_0, noise, torch.tensor([3])))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_dtype_is_kept_and_half_precision_is_computed_in_float32(sampler: str, dtype: torch.dtype) -> None:
    scheduler = scheduler_at(15, sampler=sampler)
    x_0, x_t, y, noise = (normal(1, 3, 8, 8, seed=i).to(dtype) for i in range(4))
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    output = scheduler.step(x_0, 9, x_t, low_res=y, variance_noise=noise)
    reference = prev(scheduler, x_0.to(wide), 9, x_t.to(wide), low_res=y.to(wide), variance_noise=noise.to(wide))
    assert output.prev_sample.dtype == output.pred_original_sample.dtype == dtype
    assert torch.equal(output.prev_sample, reference.to(dtype))
    noised = scheduler.add_noise(x_0, noise, torch.tensor([9]), y)
    assert noised.dtype == dtype
    assert torch.equal(noised, scheduler.add_noise(x_0.to(wide), noise.to(wide), 9, y.to(wide)).to(dtype))
    assert scheduler.scale_model_input(x_0, 9).dtype == dtype
    assert scheduler.step(x_0, 9, x_t, generator=torch.Generator().manual_seed(0)).prev_sample.dtype == dtype


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_low_res_y_is_zero(sampler: str) -> None:
    scheduler = scheduler_at(15, sampler=sampler)
    x_0, x_t, noise = (normal(2, 3, 8, 8, seed=i) for i in range(3))
    zero = torch.zeros_like(x_0)
    without, with_zero = (prev(scheduler, x_0, 9, x_t, low_res=y, variance_noise=noise) for y in (None, zero))
    assert torch.equal(without, with_zero)
    assert torch.equal(scheduler.add_noise(x_0, noise, 9), scheduler.add_noise(x_0, noise, 9, low_res=zero))


@pytest.mark.parametrize("sampler", STOCHASTIC)
def test_generator_seeds_the_step_and_equals_its_noise(sampler: str) -> None:
    scheduler = scheduler_at(15, sampler=sampler)
    x_0, x_t = normal(2, 3, 8, 8), normal(2, 3, 8, 8, seed=1)
    first, again, other = (
        prev(scheduler, x_0, 9, x_t, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(first, prev(scheduler, x_0, 9, x_t, variance_noise=normal(2, 3, 8, 8, seed=5)))
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    per_sample = torch.cat([normal(1, 3, 8, 8, seed=5), normal(1, 3, 8, 8, seed=6)])
    assert torch.equal(
        prev(scheduler, x_0, 9, x_t, generator=generators), prev(scheduler, x_0, 9, x_t, variance_noise=per_sample)
    )


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, [14]),
        (2, [14, 7]),
        (3, [14, 9, 4]),
        (4, [14, 10, 7, 3]),
        (5, [14, 11, 8, 5, 2]),
        (15, list(range(14, -1, -1))),
    ],
)
def test_spacing(steps: int, expected: list[int]) -> None:
    assert scheduler_at(steps).timesteps.tolist() == expected


@pytest.mark.parametrize("total", [1, 2, 15, 50])
def test_every_count_of_steps_is_a_descending_subset_from_the_last(total: int) -> None:
    for steps in range(1, total + 1):
        timesteps = scheduler_at(steps, num_train_timesteps=total).timesteps
        assert len(timesteps) == steps and timesteps[0] == total - 1 and timesteps[-1] >= 0
        assert (timesteps.diff() < 0).all() and timesteps.dtype == torch.int64


@pytest.mark.parametrize("timesteps", [[14, 7, 0], (9,), np.array([12, 3]), torch.tensor([5, 4, 1])])
def test_custom_timesteps(timesteps: Any) -> None:
    scheduler = BlurringResShiftScheduler()
    scheduler.set_timesteps(timesteps=timesteps)
    assert scheduler.timesteps.tolist() == list(timesteps) and scheduler.num_inference_steps == len(timesteps)


def test_without_blur_any_size_and_a_scalar_contraction() -> None:
    """Without blur lambda_t is a number, and no sampler asks for whole patches."""
    x_0, x_t, noise = (normal(1, 3, 5, 7, seed=i) for i in range(3))
    for sampler in SAMPLERS:
        scheduler = scheduler_at(15, sampler=sampler, blur_sigma_max=0)
        assert prev(scheduler, x_0, 9, x_t, variance_noise=noise).shape == x_0.shape
    lambda_t = (1 - hand_eta(10)) / (1 - hand_eta(9))
    c = lambda_t * hand_eta(9) / hand_eta(10)
    sigma = KAPPA * math.sqrt(hand_eta(9) - c**2 * hand_eta(10))
    expected = (1 - hand_eta(9)) * x_0 + c * (x_t - (1 - hand_eta(10)) * x_0) + sigma * noise
    markov = scheduler_at(15, sampler="markov", blur_sigma_max=0)
    torch.testing.assert_close(prev(markov, x_0, 9, x_t, variance_noise=noise), expected)


# --- the contract of diffusers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [{"sampler": s} for s in SAMPLERS]
    + [{"num_train_timesteps": n} for n in (1, 5, 100, 1000)]
    + [{"kappa": 1.0}, {"power": 1.0}, {"patch_size": 4}, {"blur_sigma_max": 0.0}, {"etas_end": 1.0}],
)
def test_saved_and_loaded_is_the_same(tmp_path: Path, config: dict[str, Any]) -> None:
    scheduler = BlurringResShiftScheduler(**config)
    scheduler.save_config(tmp_path)
    loaded = BlurringResShiftScheduler.from_pretrained(tmp_path)
    expected = {k: v for k, v in scheduler.config.items() if k != "_use_default_values"}
    assert dict(loaded.config) == expected
    sample = normal(4, 3, 8, 8)
    outputs = []
    for one in (scheduler, loaded, copy.deepcopy(scheduler)):
        one.set_timesteps(len(one))
        outputs.append(prev(one, 0.1 * sample, one.timesteps[0], sample, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(outputs[0], outputs[1]) and torch.equal(outputs[0], outputs[2])


def test_from_config_changes_the_sampler_and_compatibles_do_not_fail() -> None:
    scheduler = BlurringResShiftScheduler(kappa=1.5)
    changed = BlurringResShiftScheduler.from_config(scheduler.config, sampler="ddim")
    assert changed.config.sampler == "ddim" and changed.config.kappa == 1.5 and scheduler.config.sampler == "markov"
    assert scheduler.compatibles == [BlurringResShiftScheduler]


def test_public_interface() -> None:
    scheduler = BlurringResShiftScheduler()
    assert scheduler.order == 1 and len(scheduler) == T and scheduler.num_inference_steps is None
    assert scheduler.timesteps.tolist() == list(range(T - 1, -1, -1))
    scheduler.set_timesteps(5, device="cpu")
    sample = normal(4, 3, 8, 8)
    as_output = scheduler.step(0.1 * sample, scheduler.timesteps[0], sample, generator=torch.manual_seed(0))
    as_tuple = scheduler.step(
        0.1 * sample, int(scheduler.timesteps[0]), sample, generator=torch.manual_seed(0), return_dict=False
    )
    assert isinstance(as_tuple, tuple) and len(as_tuple) == 2
    assert torch.equal(as_tuple[0], as_output.prev_sample) and torch.equal(as_tuple[1], as_output[1])
    assert scheduler.scale_model_input(sample, 0.0).shape == sample.shape  # diffusers' tests pass a float
    assert scheduler.add_noise(sample, sample, scheduler.timesteps[3][None]).shape == sample.shape


def test_built_on_the_meta_device() -> None:
    """Networks are built on the meta device to count them; the scheduler beside them must keep its numbers."""
    with torch.device("meta"):
        scheduler = BlurringResShiftScheduler()
    torch.testing.assert_close(scheduler.etas, BlurringResShiftScheduler().etas)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"sampler": "euler"},
        {"num_train_timesteps": 0},
        {"num_train_timesteps": 2.5},
        {"patch_size": 0},
        {"kappa": 0.0},
        {"kappa": math.nan},
        {"min_noise_level": -0.1},
        {"power": math.inf},
        {"etas_end": 1.01},
        {"etas_end": 0.02},
        {"blur_sigma_max": -1.0},
        {"blur_sigma_min": 0.0},
        {"blur_sigma_min": 2.0},
    ],
)
def test_bad_constructor_values(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(config))):
        BlurringResShiftScheduler(**config)


@pytest.mark.parametrize("steps", [0, -1, 16, 2.5])
def test_bad_step_counts(steps: Any) -> None:
    with pytest.raises(ValueError, match=r"`num_inference_steps` is .*; it must be a whole number from 1 to 15"):
        BlurringResShiftScheduler().set_timesteps(steps)


@pytest.mark.parametrize("timesteps", [[], [3, 3], [3, 7], [15, 3], [3, -1], [3.5, 1.0], [[4, 3], [2, 1]], 5])
def test_bad_custom_timesteps(timesteps: Any) -> None:
    with pytest.raises(ValueError, match="timesteps must be strictly descending"):
        BlurringResShiftScheduler().set_timesteps(timesteps=timesteps)


def test_neither_or_both_of_count_and_timesteps() -> None:
    with pytest.raises(ValueError, match="either num_inference_steps or timesteps"):
        BlurringResShiftScheduler().set_timesteps()
    with pytest.raises(ValueError, match="either num_inference_steps or timesteps"):
        BlurringResShiftScheduler().set_timesteps(2, timesteps=[3, 1])


def test_a_step_goes_to_the_next_smaller_timestep_from_anywhere() -> None:
    x, x_0 = normal(1, 3, 8, 8), normal(1, 3, 8, 8)
    eta = BlurringResShiftScheduler().etas
    every = BlurringResShiftScheduler(sampler="ddim", blur_sigma_max=0)  # before set_timesteps: all the trained ones
    some = BlurringResShiftScheduler(sampler="ddim", blur_sigma_max=0)
    some.set_timesteps(timesteps=[14, 4])
    for scheduler, s in ((every, 9), (some, 5)):  # the papers' t: from 10 to 9, or to 5
        expected = (1 - eta[s]) * x_0 + (eta[s] / eta[10]).sqrt() * (x - (1 - eta[10]) * x_0)
        torch.testing.assert_close(scheduler.step(x_0, 9, x).prev_sample, expected)


def test_step_errors() -> None:
    x = normal(1, 3, 8, 8)
    scheduler = scheduler_at(3)
    with pytest.raises(ValueError, match=r"whole number in 0\.\.14"):
        scheduler.step(x, 15, x)
    for name in ("low_res", "variance_noise"):
        with pytest.raises(ValueError, match=f"{name} must have the shape of sample"):
            scheduler.step(x, 14, x, **{name: x[:, :1]})
    with pytest.raises(ValueError, match="model_output must have the shape of sample"):
        scheduler.step(x[..., :4], 14, x)
    with pytest.raises(ValueError, match="multiples of patch_size = 8, got 8 x 12"):
        scheduler.step(normal(1, 3, 8, 12), 4, normal(1, 3, 8, 12))  # also in the last step, which has no DCT
    with pytest.raises(ValueError, match="sample must be"):
        scheduler.step(x[0], 14, x[0])


def test_add_noise_errors() -> None:
    scheduler, x = BlurringResShiftScheduler(), normal(2, 3, 8, 8)
    for name, kwargs in {"noise": {"noise": x[:1]}, "low_res": {"noise": x, "low_res": x[:1]}}.items():
        with pytest.raises(ValueError, match=f"{name} must have the shape of original_samples"):
            scheduler.add_noise(x, timesteps=torch.tensor([1, 2]), **kwargs)
    for timesteps in (torch.tensor([1, 2, 3]), torch.tensor([[1, 2]])):
        with pytest.raises(ValueError, match=r"of shape \(\) or \(2,\)"):
            scheduler.add_noise(x, x, timesteps)
    for timesteps in (torch.tensor([-1, 2]), torch.tensor([1, 15]), torch.tensor(1.5), torch.tensor(math.nan)):
        with pytest.raises(ValueError, match=r"whole number in 0\.\.14"):
            scheduler.add_noise(x, x, timesteps)
    with pytest.raises(ValueError, match="multiples of patch_size"):
        scheduler.add_noise(x[..., :7], x[..., :7], 3)
