# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch

from seeclear.models.wavelets import haar_dwt, haar_idwt, inverse_wavelet_packet, wavelet_packet


def test_haar_on_a_case_worked_by_hand() -> None:
    image = torch.tensor([[1.0, 2.0], [3.0, 5.0]])[None, None]
    low, high = haar_dwt(image)
    assert low.item() == (1 + 2 + 3 + 5) / 2
    # horizontal, vertical and diagonal difference
    assert high.flatten().tolist() == [(1 - 2 + 3 - 5) / 2, (1 + 2 - 3 - 5) / 2, (1 - 2 - 3 + 5) / 2]


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_packets_are_orthonormal_and_invertible(levels: int) -> None:
    images = torch.randn(2, 3, 16, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bands = wavelet_packet(images, levels)
    assert bands.shape == (2, 3 * 4**levels, 16 >> levels, 24 >> levels)
    torch.testing.assert_close(bands.square().sum(), images.square().sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(inverse_wavelet_packet(bands, levels), images, rtol=0, atol=1e-12)


def test_white_noise_stays_white() -> None:
    noise = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    bands = wavelet_packet(noise, 2)[0].flatten(1)  # (16, 4096)
    covariance = bands @ bands.T / bands.shape[1]
    # the standard error of an entry is 1/64, of a diagonal one sqrt(2)/64; the largest of 256 lies within 5 of them
    assert (covariance - torch.eye(16)).abs().max() < 5 * 2**0.5 / 64


def test_first_channels_of_a_packet_are_the_block_means() -> None:
    images = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    means = torch.nn.functional.avg_pool2d(images, 4)
    torch.testing.assert_close(wavelet_packet(images, 2)[:, :3] / 4, means)


def test_memory_format_does_not_change_the_result() -> None:
    images = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    low, high = haar_dwt(images)
    last = [x.contiguous(memory_format=torch.channels_last) for x in (images, low, high)]
    assert torch.equal(haar_dwt(last[0])[1], high)
    assert torch.equal(haar_idwt(last[1], last[2]), haar_idwt(low, high))


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="6x5"):
        haar_dwt(torch.zeros(1, 1, 6, 5))
    with pytest.raises(ValueError, match="multiples of 4"):
        wavelet_packet(torch.zeros(1, 1, 6, 8), 2)
    with pytest.raises(ValueError, match="`high`"):
        haar_idwt(torch.zeros(1, 2, 4, 4), torch.zeros(1, 5, 4, 4))
    with pytest.raises(ValueError, match="multiple of 16"):
        inverse_wavelet_packet(torch.zeros(1, 24, 4, 4), 2)
