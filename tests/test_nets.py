"""The example networks, the pruning rules and the mask forms that other tests build on."""

from collections import Counter

import nets
import pytest
import torch
from nets import mask_forms
from nets.patterns import mask_1xn, prunable_layers
from torch import nn

THIN = 0.25

# network: million multiply-adds at 224x224, parameters
PUBLISHED = {
    "mobilenet_v1": (569, 4_231_976),
    "mobilenet_v2": (301, 3_504_872),
    "mobilenet_v3_large": (217, 5_483_032),
    "mobilenet_v3_small": (57, 2_542_856),
    "mnasnet": (314, 4_383_312),
    "efficientnet_b0": (386, 5_288_548),
    "shufflenet_v2": (145, 2_278_604),
    "squeezenet": (349, 1_235_496),
    "resnet18": (1814, 11_689_512),
    "resnet34": (3664, 21_797_672),
    "resnet50": (4089, 25_557_032),
    "resnext50": (4230, 25_028_904),
    "se_resnet50": (4092, 28_088_024),
    "regnet_y_400mf": (402, 4_344_144),
    "vgg16": (15470, 138_365_992),
    "densenet121": (2834, 7_978_856),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def outputs(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        y = model(x)
    return y if isinstance(y, tuple) else (y,)


def image(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_width_is_the_published_network(name):
    with torch.device("meta"):
        model, x = nets.NETS[name]().eval(), torch.empty(1, 3, 224, 224)
    million, parameters = PUBLISHED[name]
    assert round(nets.multiply_adds(model, x) / 1e6) == million
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("name", nets.NETS)
def test_thin_network_runs_with_sane_scale(name):
    model = nets.build(name, width=THIN, classes=10)
    assert not any(module.training for module in model.modules())
    for size in ((64, 64), (97, 161)):
        for y in outputs(model, image(*size)):
            assert torch.isfinite(y).all()
            assert 0.02 < y.std() < 20


@pytest.mark.parametrize("name", nets.NETS)
def test_thin_network_accepts_225(name):
    with torch.device("meta"):
        model, x = nets.NETS[name](width=THIN).eval(), torch.empty(1, 3, 225, 225)
    outputs(model, x)


def test_multi_output_networks():
    assert [y.shape[-1] for y in outputs(nets.build("darknet53_yolo", width=THIN), image(64, 64))] == [2, 4, 8]
    assert [y.shape[-1] for y in outputs(nets.build("fpn", width=THIN), image(64, 64))] == [16, 8, 4, 2]


def test_unet_fits_odd_sizes():
    assert outputs(nets.build("unet", width=THIN), image(97, 161))[0].shape == (1, 2, 97, 161)
    assert outputs(nets.build("unet_prelu", width=THIN), image(97, 161))[0].shape == (1, 2, 96, 160)
    with pytest.raises(ValueError, match="'mish' or 'prelu'"):
        nets.NETS["unet"](activation="gelu")


def test_multiply_adds_of_a_transposed_convolution():
    layer = nn.ConvTranspose2d(6, 4, 3, 2, groups=2)
    assert nets.multiply_adds(layer, torch.zeros(2, 6, 5, 7)) == 2 * 5 * 7 * 6 * 2 * 9


def test_build_depends_on_the_seed_only():
    state = torch.get_rng_state()
    first, again, other = (nets.build("mobilenet_v2", width=THIN, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["0.0.weight"], other["0.0.weight"])


def test_calibration_normalises_and_restores_modes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model.train()
    model[2].eval()
    x = 5 + 3 * torch.randn(8, 3, 16, 16)
    nets.calibrate_batchnorm(model, x)
    assert (model.training, model[2].training, model[1].momentum) == (True, False, 0.1)
    y = outputs(model.eval(), x)[0]
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3)), torch.ones(4), atol=1e-2, rtol=0)


def test_default_layers_leave_out_stem_depthwise_and_classifier():
    model = nets.build("mobilenet_v1", width=THIN)
    pointwise = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert prunable_layers(model) == pointwise
    assert len(pointwise) == 13


# (weight shape, groups, n)
SHAPES = [((32, 24, 3, 3), 1, 8), ((30, 17, 1, 1), 1, 4), ((24, 5, 3, 3), 2, 8), ((9, 33), 1, 2), ((3, 8, 5, 5), 1, 16)]


def reference_scores(weight: torch.Tensor, groups: int, n: int) -> dict[tuple[int, int, int], tuple[slice, float]]:
    """Score of each block, one at a time: keys are (group, row of blocks, input channel)."""
    per_group, found = weight.shape[0] // groups, {}
    for group in range(groups):
        for row, first in enumerate(range(0, per_group, n)):
            rows = slice(group * per_group + first, group * per_group + min(first + n, per_group))
            for c in range(weight.shape[1]):
                block = weight[rows, c]
                found[group, row, c] = rows, block.abs().sum().item() / block.shape[0]
    return found


@pytest.mark.parametrize(("shape", "groups", "n"), SHAPES)
@pytest.mark.parametrize("uniform", [False, True])
def test_mask_prunes_the_blocks_of_lowest_norm(shape, groups, n, uniform):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    mask = mask_1xn(weight, n, 0.6, groups=groups, uniform=uniform)
    assert mask.shape == shape[:2]
    blocks = reference_scores(weight, groups, n)
    for rows, _ in blocks.values():
        assert (mask[rows] == mask[rows.start]).all()
    kept = {key: bool(mask[rows.start, key[2]]) for key, (rows, _) in blocks.items()}
    competitions = {key[:2] for key in blocks} if uniform else {()}
    for prefix in competitions:
        mine = [key for key in blocks if key[: len(prefix)] == prefix]
        pruned_scores = [blocks[key][1] for key in mine if not kept[key]]
        kept_scores = [blocks[key][1] for key in mine if kept[key]]
        assert len(pruned_scores) == (int(0.6 * shape[1]) if uniform else round(0.6 * len(blocks)))
        assert max(pruned_scores) < min(kept_scores)


@pytest.mark.parametrize(("shape", "groups", "n"), SHAPES)
@pytest.mark.parametrize("uniform", [False, True])
def test_rearranged_rows_form_groups_of_equal_patterns(shape, groups, n, uniform):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight *= torch.exp(torch.randn(shape[0], generator=torch.Generator().manual_seed(1))).view(
        -1, *[1] * (len(shape) - 1)
    )
    mask = mask_1xn(weight, n, 0.5, groups=groups, uniform=uniform, rearrange=True)
    per_group = shape[0] // groups
    for part, own in zip(weight.split(per_group), mask.split(per_group), strict=True):
        order = part.flatten(1).abs().sum(1).argsort(descending=True)
        for rows in own[order].split(n):
            assert (rows == rows[0]).all()
    plain = mask_1xn(weight, n, 0.5, groups=groups, uniform=uniform)
    if n < per_group:
        counts = Counter(tuple(row.tolist()) for row in mask.split(per_group)[0])
        assert sum(count % n != 0 for count in counts.values()) <= (per_group % n != 0)
        assert any((rows != rows[0]).any() for rows in mask[:per_group].split(n)), (
            "rows of a block must not be adjacent"
        )
        norms = weight.abs().reshape(*mask.shape, -1).sum(2)
        assert uniform or norms[mask].sum() > norms[plain].sum(), "rearrangement raises the kept norm"
    else:
        assert torch.equal(mask, plain)


def test_rows_keep_unequal_counts_unless_uniform():
    model = nets.build("resnet18", width=THIN)
    name = prunable_layers(model)[5]
    weight = model.get_submodule(name).weight.detach()
    assert mask_1xn(weight, 4, 0.5)[::4].sum(1).unique().numel() > 1
    assert mask_1xn(weight, 4, 0.5, uniform=True)[::4].sum(1).unique().numel() == 1


def test_equal_norms_are_decided_by_the_seed():
    weight = torch.ones(8, 32, 1, 1)
    masks = [mask_1xn(weight, 4, 0.5, seed=seed) for seed in (0, 0, 1)]
    assert [mask.sum() for mask in masks] == [128, 128, 128]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnext50", "darknet53_yolo", "vgg16"])
@pytest.mark.parametrize("options", [{}, {"uniform": True}, {"rearrange": True}], ids=str)
def test_impose_prunes_in_place(name, options):
    model = nets.build(name, width=THIN, classes=10)
    masks = nets.impose_1xn(model, 4, 0.7, **options)
    assert list(masks) == prunable_layers(model)
    for layer, mask in masks.items():
        weight = model.get_submodule(layer).weight.detach()
        assert torch.equal(weight.reshape(*mask.shape, -1).ne(0).any(2), mask)
    nets.calibrate_batchnorm(model, torch.randn(2, 3, 128, 128))
    assert all(torch.isfinite(y).all() for y in outputs(model, image(97, 161)))


def test_impose_include_and_errors():
    model = nets.build("mobilenet_v1", width=THIN)
    assert list(nets.impose_1xn(model, 4, 0.5, include=["0.0"])) == ["0.0"]
    with pytest.raises(TypeError, match="BatchNorm2d"):
        nets.impose_1xn(model, 4, 0.5, include=["0.1"])
    with pytest.raises(ValueError, match=r"sparsity is 1\.5"):
        nets.impose_1xn(model, 4, 1.5)


@pytest.mark.parametrize("form", mask_forms.FORMS)
def test_mask_form_computes_what_the_pruned_model_does(form):
    model = nets.build("mobilenet_v3_small", width=THIN, classes=10)
    masks = nets.impose_1xn(model, 4, 0.5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    masked = mask_forms.FORMS[form](model, masks)

    assert torch.equal(outputs(masked, image(64, 64))[0], outputs(model, image(64, 64))[0])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items()), "the model was changed"
    stored = {"torch_prune": "weight_orig", "parametrized": "parametrizations.weight.original"}.get(form, "weight")
    state = masked.state_dict()
    for layer, mask in masks.items():
        assert state[f"{layer}.{stored}"].ne(0).all()
        key = {"torch_prune": "weight_mask", "parametrized": "parametrizations.weight.0.mask"}.get(form, "mask")
        assert torch.equal(state[f"{layer}.{key}"].reshape(*mask.shape, -1).bool().all(2), mask)


def test_autograd_function_passes_the_gradient_straight_through():
    model = nn.Sequential(nn.Conv2d(4, 8, 1, bias=False))
    masks = nets.impose_1xn(model, 4, 0.5, include=["0"])
    masked = mask_forms.to_autograd_function(model, masks)
    masked(torch.ones(1, 4, 2, 2)).sum().backward()
    assert torch.equal(masked[0].weight.grad, torch.full((8, 4, 1, 1), 4.0))
    assert not list(masked[0].parameters(recurse=False))[1:], "the mask is a buffer"


@pytest.mark.parametrize("form", mask_forms.FORMS)
def test_mask_form_of_a_linear_layer(form):
    model = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3, bias=False)).eval()
    masked = mask_forms.FORMS[form](model, nets.impose_1xn(model, 4, 0.5, include=["0", "2"]))
    x = torch.randn(2, 12)
    assert torch.equal(masked(x), model(x))
