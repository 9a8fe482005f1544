# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Blurring ResShift: the diffusion process of SeeClear (arXiv 2410.05799, section 3.2 and appendix A).

Symbols, as in the paper (equation numbers are the paper's):

    t = 0..T        step; t = 0 is the clean frame, and the `timestep` i of diffusers is t = i + 1
    s < t           the step that follows t in sampling: t - 1, or the next one of a subset of the steps
    x_0, y          HR frames and the LR frames brought to HR size, (B, C, H, W) or (B, F, C, H, W), in [-1, 1]
    u = V^T x       orthonormal DCT-II of every p x p patch; (i, j) = vertical and horizontal frequency in a patch
    eta_t, kappa    how much of the residual y - x_0 is shifted in, and the strength of the noise
    tau_t, d_t      dissipation time and the damping it causes, per DCT coefficient

Both the DCT and the process are linear and orthonormal noise stays white, so the state lives in pixels and goes to
the DCT only inside `add_noise` and `step`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn.functional import pad

from seeclear.loading import FromShipped

SAMPLERS = ("markov", "resshift", "ddim")


@lru_cache(maxsize=32)
def _dct_matrix(patch_size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Orthonormal DCT-II matrix (p, p): row k holds sqrt((1 or 2) / p) cos(pi (2 n + 1) k / (2 p)), 1 for k = 0."""
    with torch.inference_mode(False):  # the cached matrix must serve autograd later
        k = torch.arange(patch_size, dtype=torch.float64, device="cpu")
        matrix = torch.cos(math.pi * (2 * k + 1) * k[:, None] / (2 * patch_size)) * math.sqrt(2 / patch_size)
        matrix[0] = math.sqrt(1 / patch_size)
        return matrix.to(device=device, dtype=dtype)


def _transform_patches(frames: Tensor, matrix: Tensor) -> Tensor:
    """`matrix @ patch @ matrix.T` for every p x p patch of `frames` (..., H, W), written where the patch was."""
    p, width = matrix.shape[0], frames.shape[-1]
    _check_size(frames, p)
    # Along the width two patches at once (p even, so their rows come in pairs): on a CPU up to three times as fast.
    along_width = matrix if p % 2 else torch.block_diag(matrix, matrix)
    with torch.autocast(frames.device.type, enabled=False):  # the process is never computed in half precision
        rows = frames.reshape(-1, along_width.shape[0]) @ along_width.T  # (... * H * W / (p or 2 p), p or 2 p)
        return (matrix @ rows.reshape(-1, p, width)).reshape(frames.shape)  # (... * H/p, p, W): along the height


def _check_size(frames: Tensor, patch_size: int) -> None:
    height, width = frames.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(f"height and width must be multiples of patch_size = {patch_size}, got {height} x {width}.")


def patch_dct(frames: Tensor, patch_size: int) -> Tensor:
    """Orthonormal DCT-II of every patch: u = V^T x (section 3.2 of the paper).

    Args:
        frames: (..., H, W), float32 or float64; H and W multiples of `patch_size`, otherwise ValueError.
        patch_size: p, the side of a patch in pixels.

    Returns:
        (..., H, W): coefficient (i, j) of the patch in row a and column b stands at (a p + i, b p + j).
    """
    return _transform_patches(frames, _dct_matrix(patch_size, frames.dtype, frames.device))


def inverse_patch_dct(coefficients: Tensor, patch_size: int) -> Tensor:
    """Inverse of `patch_dct`: x = V u; shapes, errors and layout as there."""
    return _transform_patches(coefficients, _dct_matrix(patch_size, coefficients.dtype, coefficients.device).T)


def exponential_etas(num_steps: int, sqrt_eta_1: float, sqrt_eta_T: float, power: float) -> Tensor:
    """eta_0..eta_T of ResShift's exponential schedule (ResShift, arXiv 2307.12348, section 2.2); (T + 1,) float64.

    sqrt(eta_t) = sqrt(eta_1) (sqrt(eta_T) / sqrt(eta_1)) ^ (((t - 1) / (T - 1)) ^ power), and eta_0 = 0.
    """
    sqrt_etas = sqrt_eta_1 * (sqrt_eta_T / sqrt_eta_1) ** _progress(num_steps) ** power
    return pad(sqrt_etas**2, (1, 0))


def dissipation_times(num_steps: int, sigma_1: float, sigma_T: float) -> Tensor:
    """tau_0..tau_T, tau_t = sigma_B,t^2 / 2 with sigma_B,t log-spaced from sigma_1 to sigma_T; (T + 1,) float64.

    The schedule of inverse heat dissipation (IHDM, arXiv 2206.13397); tau_0 = 0, and all are 0 if sigma_T = 0.
    """
    progress = _progress(num_steps)
    sigmas = sigma_1 * (sigma_T / sigma_1) ** progress if sigma_T > 0 else torch.zeros_like(progress)
    return pad(sigmas**2 / 2, (1, 0))


def _progress(num_steps: int) -> Tensor:
    """(t - 1) / (T - 1) for t = 1..T, (T,) float64; a schedule of a single step is at its end."""
    return torch.linspace(1, 0, num_steps, dtype=torch.float64, device="cpu").flip(0)


@dataclass
class BlurringResShiftSchedulerOutput(BaseOutput):
    """Output of `BlurringResShiftScheduler.step`; both have the shape and dtype of `sample`.

    Args:
        prev_sample: the state u_s of the next step, in pixels.
        pred_original_sample: the network's estimate of x_0.
    """

    prev_sample: Tensor
    pred_original_sample: Tensor


class BlurringResShiftScheduler(FromShipped, SchedulerMixin, ConfigMixin):
    """Blurring ResShift (SeeClear, section 3.2): residual shifting together with blur in the DCT of patches.

    Every sampler takes u_t to u_s = m_s + c_t (u_t - m_t) + sigma_t eps with the same marginals (25, 29):

    * `markov`: the posterior of SeeClear's chain (28, 31). Two errors of the printed appendix are corrected: the
      variance of the transition is kappa^2 (eta_t - lambda_t^2 eta_s), since with kappa^2 (eta_t - eta_s) of (31) the
      marginal (29) does not hold; and the sign of the eta_s u_y term in (33, 34).
    * `resshift`: ResShift's posterior with blur; exactly ResShift if `blur_sigma_max` is 0.
    * `ddim`: deterministic.

    The network predicts x_0. Maths is done in float32, or in float64 if the sample is float64.

    Args:
        num_train_timesteps: T, at least 1.
        kappa: strength of the noise, > 0.
        min_noise_level: sets sqrt(eta_1) = min(min_noise_level / kappa, min_noise_level), > 0.
        etas_end: sqrt(eta_T), above sqrt(eta_1) and at most 1.
        power: exponent on the normalised step in the schedule of eta, > 0.
        blur_sigma_min: sigma_B,1 in pixels, > 0 and at most `blur_sigma_max`; without effect if that is 0.
        blur_sigma_max: sigma_B,T in pixels, >= 0; 0 is no blur, and then any height and width will do.
        patch_size: p, the side of a DCT patch in pixels, at least 1; with blur, H and W must be multiples of it.
        sampler: "markov", "resshift" or "ddim". `from_config(config, sampler=...)` makes a scheduler with another.

    Raises:
        ValueError: an argument is out of its range.
    """

    order = 1
    _has_weights = False

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 15,
        kappa: float = 2.0,
        min_noise_level: float = 0.04,
        etas_end: float = 0.99,
        power: float = 0.3,
        blur_sigma_min: float = 0.1,
        blur_sigma_max: float = 2**0.5,
        patch_size: int = 8,
        sampler: str = "markov",
    ) -> None:
        if sampler not in SAMPLERS:
            raise ValueError(f"`sampler` is {sampler!r}; it must be one of {', '.join(SAMPLERS)}.")
        for name, whole in (("num_train_timesteps", num_train_timesteps), ("patch_size", patch_size)):
            if not isinstance(whole, int) or whole < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {whole!r}.")
        for name, value in (("kappa", kappa), ("min_noise_level", min_noise_level), ("power", power)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}.")
        sqrt_eta_1 = min(min_noise_level / kappa, min_noise_level)
        if not sqrt_eta_1 < etas_end <= 1:
            raise ValueError(f"etas_end must be above sqrt(eta_1) = {sqrt_eta_1} and at most 1, got {etas_end!r}.")
        if not 0 <= blur_sigma_max < math.inf:
            raise ValueError(f"blur_sigma_max must be 0 (no blur) or positive and finite, got {blur_sigma_max!r}.")
        if blur_sigma_max > 0 and not 0 < blur_sigma_min <= blur_sigma_max:
            raise ValueError(
                f"blur_sigma_min must be positive and at most blur_sigma_max = {blur_sigma_max}, "
                f"got {blur_sigma_min!r}."
            )

        self.etas = exponential_etas(num_train_timesteps, sqrt_eta_1, etas_end, power)
        self.taus = dissipation_times(num_train_timesteps, blur_sigma_min, blur_sigma_max)
        # Without blur all coefficients are treated alike: the DCT of 1 x 1 patches, which is the identity.
        self._patch = patch_size if blur_sigma_max > 0 else 1
        self.init_noise_sigma = kappa * math.sqrt(self.etas[-1])
        self.num_inference_steps: int | None = None
        self.timesteps = torch.arange(num_train_timesteps - 1, -1, -1, device="cpu")

    def __len__(self) -> int:
        return int(self.config["num_train_timesteps"])

    @classmethod
    def _get_compatibles(cls) -> list[type[Any]]:
        # diffusers looks names up in its own package, where a third-party class is not found.
        return [cls]

    # The equations: t and s are (N,) tensors of steps, factors (N, 1, 1) or, per DCT coefficient, (N, p, p).

    def _eta(self, t: Tensor) -> Tensor:
        return self.etas[t][:, None, None]

    def _damping(self, tau: Tensor) -> Tensor:
        """d(i, j) = exp(-pi^2 (i^2 + j^2) / p^2 tau): what dissipation for the time tau (N,) leaves; section 3.2."""
        i = torch.arange(self._patch, dtype=tau.dtype, device=tau.device)
        return torch.exp(-(math.pi**2) * (i[:, None] ** 2 + i**2) / self._patch**2 * tau[:, None, None])

    def _mean_0(self, u_0: Tensor, t: Tensor) -> Tensor:
        """(1 - eta_t) d_t u_0, the share of u_0 in the mean m_t = (1 - eta_t) d_t u_0 + eta_t u_y (25)."""
        return self._spread((1 - self._eta(t)) * self._damping(self.taus[t]), u_0) * u_0

    def _mean_y(self, y: Tensor | None, x: Tensor, t: Tensor) -> Tensor | float:
        """eta_t y, the share of y in m_t, in pixels since it is not blurred; `x` gives the dtype; no y is y = 0."""
        return 0.0 if y is None else self._spread(self._eta(t), x) * y.to(x.dtype)

    def _noise_level(self, t: Tensor) -> Tensor:
        """kappa sqrt(eta_t), the standard deviation of the marginal (29)."""
        return self._eta(t).sqrt() * self.config["kappa"]

    def _contraction(self, t: Tensor, s: Tensor) -> Tensor:
        """lambda_t = (1 - eta_t) / (1 - eta_s) d_t / d_s, the factor of u_s in the transition to u_t (28, 31)."""
        return (1 - self._eta(t)) / (1 - self._eta(s)) * self._damping(self.taus[t] - self.taus[s])

    def _posterior(self, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor | None]:
        """c_t of the sampler and sigma_t = kappa sqrt(eta_s - c_t^2 eta_t) (33, 34 corrected); None where it is 0."""
        eta_t, eta_s = self._eta(t), self._eta(s)
        if self.config["sampler"] == "ddim":
            return (eta_s / eta_t).sqrt(), None
        c = eta_s / eta_t
        if self.config["sampler"] == "markov":
            c = self._contraction(t, s) * c
        return c, self.config["kappa"] * (eta_s - c**2 * eta_t).clamp(min=0).sqrt()  # below 0 only by rounding

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        timesteps: Sequence[int] | Tensor | None = None,
    ) -> None:
        """Choose the steps of sampling: either how many, spaced evenly back from the last one, or which.

        Args:
            num_inference_steps: n in 1..num_train_timesteps; timestep k is round(T - k T / n) - 1.
            device: where `self.timesteps` is put.
            timesteps: strictly descending whole numbers in 0..num_train_timesteps - 1, instead of a count.

        Raises:
            ValueError: neither or both are given, or one is out of its range.
        """
        total = len(self)
        if (num_inference_steps is None) == (timesteps is None):
            raise ValueError(
                "Give either num_inference_steps or timesteps, "
                f"got num_inference_steps = {num_inference_steps!r} and timesteps = {timesteps!r}."
            )
        if timesteps is not None:
            given = torch.as_tensor(timesteps, device="cpu")
            if given.dim() != 1 or len(given) == 0 or not _are_steps(given, total) or bool((given.diff() >= 0).any()):
                raise ValueError(
                    f"timesteps must be strictly descending whole numbers in 0..{total - 1}, got {timesteps!r}."
                )
            chosen = given.long().tolist()
        else:
            n = num_inference_steps
            if not isinstance(n, Integral) or not 1 <= n <= total:
                raise ValueError(f"`num_inference_steps` is {n!r}; it must be a whole number from 1 to {total}.")
            chosen = [round(total * (n - k) / n) - 1 for k in range(n)]
        self.timesteps = torch.tensor(chosen, dtype=torch.int64, device=device)
        self.num_inference_steps = len(chosen)

    def scale_model_input(self, sample: Tensor, timestep: int | Tensor) -> Tensor:
        """The network's input: sample / sqrt(kappa^2 eta_t + 1), as ResShift does.

        Args:
            sample: state (B, ...), any shape and floating dtype.
            timestep: a whole number, or a tensor () or (B,), in 0..num_train_timesteps - 1, otherwise ValueError.
        """
        level = self._noise_level(self._steps(timestep, sample.shape[0]))
        u = sample.to(_maths_dtype(sample))
        return (u / self._spread((level**2 + 1).sqrt(), u)).to(sample.dtype)

    def add_noise(
        self, original_samples: Tensor, noise: Tensor, timesteps: int | Tensor, low_res: Tensor | None = None
    ) -> Tensor:
        """Draw from the marginal: u_t = m_t + kappa sqrt(eta_t) eps (25, 29), returned in pixels.

        Args:
            original_samples: x_0, (B, C, H, W) or (B, F, C, H, W), in [-1, 1].
            noise: eps, white with variance 1, shape of `original_samples`.
            timesteps: () or (B,), one for each sample, in 0..num_train_timesteps - 1.
            low_res: y, shape of `original_samples`; None is y = 0.

        Returns:
            Shape and dtype of `original_samples`.

        Raises:
            ValueError: a shape differs, H or W is no multiple of the patch, or a timestep is out of range.
        """
        self._check_shapes(original_samples, "original_samples", noise=noise, low_res=low_res)
        t = self._steps(timesteps, original_samples.shape[0])
        x_0 = original_samples.to(_maths_dtype(original_samples))
        m_t = self._from_dct(self._mean_0(self._to_dct(x_0), t)) + self._mean_y(low_res, x_0, t)
        return (m_t + self._spread(self._noise_level(t), x_0) * noise.to(x_0.dtype)).to(original_samples.dtype)

    def step(
        self,
        model_output: Tensor,
        timestep: int | Tensor,
        sample: Tensor,
        low_res: Tensor | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        variance_noise: Tensor | None = None,
        return_dict: bool = True,
    ) -> BlurringResShiftSchedulerOutput | tuple[Tensor, Tensor]:
        """One reverse step, u_s = m_s + c_t (u_t - m_t) + sigma_t eps, to the next smaller of `self.timesteps`.

        Before `set_timesteps` these are all the trained ones.
        The step from the smallest timestep goes to t = 0 and returns the predicted x_0 as it is.

        Args:
            model_output: the network's estimate of x_0, shape of `sample`.
            timestep: the one that `sample` is at, in 0..num_train_timesteps - 1, as a rule one of `self.timesteps`.
            sample: u_t in pixels, (B, C, H, W) or (B, F, C, H, W).
            low_res: y, shape of `sample`; None is y = 0.
            generator: source of eps; `ddim` and the last step draw nothing.
            variance_noise: eps itself, shape of `sample`, instead of a draw.
            return_dict: return an output object rather than the tuple (prev_sample, pred_original_sample).

        Raises:
            ValueError: `timestep` is out of range, a shape differs, or H or W is no multiple of the patch.
        """
        self._check_shapes(sample, "sample", model_output=model_output, low_res=low_res, variance_noise=variance_noise)
        t = self._steps(timestep, 1)
        s = t.new_tensor([max((i + 1 for i in self.timesteps.tolist() if i + 1 < t), default=0)])

        pred_original_sample = prev_sample = model_output.to(sample.dtype)
        if s > 0:
            x_t = sample.to(_maths_dtype(sample))
            u_0 = self._to_dct(model_output.to(x_t.dtype))
            c, sigma = self._posterior(t, s)
            residual = self._to_dct(x_t - self._mean_y(low_res, x_t, t)) - self._mean_0(u_0, t)  # u_t - m_t
            u_s = self._mean_0(u_0, s) + self._spread(c, u_0) * residual
            if sigma is not None:
                if variance_noise is None:
                    variance_noise = randn_tensor(x_t.shape, generator=generator, device=x_t.device, dtype=x_t.dtype)
                u_s = u_s + self._spread(sigma, u_0) * self._to_dct(variance_noise.to(x_t.dtype))
            prev_sample = (self._from_dct(u_s) + self._mean_y(low_res, x_t, s)).to(sample.dtype)
        if not return_dict:
            return prev_sample, pred_original_sample
        return BlurringResShiftSchedulerOutput(prev_sample=prev_sample, pred_original_sample=pred_original_sample)

    def _steps(self, timesteps: int | Tensor, batch_size: int) -> Tensor:
        """t = timestep + 1 of the timesteps () or (B,), checked; (1,) or (B,) int64 on the CPU."""
        given, total = torch.as_tensor(timesteps, device="cpu"), len(self)
        if given.dim() > 1 or given.numel() not in (1, batch_size):
            raise ValueError(f"timestep must be of shape () or ({batch_size},), got {tuple(given.shape)}.")
        if not _are_steps(given, total):
            raise ValueError(f"timestep must be a whole number in 0..{total - 1}, got {given.tolist()}.")
        return given.reshape(-1).long() + 1

    def _check_shapes(self, sample: Tensor, sample_name: str, **others: Tensor | None) -> None:
        """`sample` must be 4-D or 5-D and made of whole patches, and the others, where given, of its shape."""
        if sample.dim() not in (4, 5):
            raise ValueError(
                f"{sample_name} must be (B, C, H, W) or (B, F, C, H, W), got shape {tuple(sample.shape)}."
            )
        _check_size(sample, self._patch)
        for name, other in others.items():
            if other is not None and other.shape != sample.shape:
                raise ValueError(
                    f"{name} must have the shape of {sample_name}, {tuple(sample.shape)}, got {tuple(other.shape)}."
                )

    def _spread(self, factor: Tensor, u: Tensor) -> Tensor:
        """Lay a factor (N, 1, 1) or (N, p, p) out so that it multiplies the coefficients u (B, ..., H, W)."""
        if self._patch > 1 and factor.shape[-1] == self._patch:
            factor = factor.to(u).tile(u.shape[-2] // self._patch, u.shape[-1] // self._patch)  # (N, H, W)
        return factor.to(u).reshape(factor.shape[0], *(1,) * (u.dim() - 3), *factor.shape[-2:])

    def _to_dct(self, x: Tensor) -> Tensor:
        """u = V^T x."""
        return x if self._patch == 1 else patch_dct(x, self._patch)

    def _from_dct(self, u: Tensor) -> Tensor:
        """x = V u."""
        return u if self._patch == 1 else inverse_patch_dct(u, self._patch)


def _maths_dtype(sample: Tensor) -> torch.dtype:
    """At least float32: half precision samples are computed in float32, float64 ones in float64."""
    return torch.promote_types(sample.dtype, torch.float32)


def _are_steps(timesteps: Tensor, total: int) -> bool:
    """All are whole numbers in 0..total - 1."""
    return bool(((timesteps == timesteps.long()) & (timesteps >= 0) & (timesteps < total)).all())
