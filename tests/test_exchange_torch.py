"""From PyTorch and to it."""

import pickle

import numpy as np
import pytest
from exchange_cases import DTYPES, EXPORTED, WIDTHS, difference, net, samples

import fastnn

torch = pytest.importorskip("torch")
nn, weight_norm = torch.nn, torch.nn.utils.parametrizations.weight_norm


def outputs_of(module, X):
    with torch.no_grad():
        return module.eval()(torch.tensor(X)).numpy()


def check(module, n_in=4, dtype="float64"):
    """What is read computes what the module does; the network."""
    module = module.to(getattr(torch, dtype))
    made = fastnn.from_torch(module)
    assert made.spec.dtype == dtype
    X = samples(made)
    assert difference(made, X, outputs_of(module, X)) < 8
    return made


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPORTED)
def test_there_and_back(name, dtype, bias):
    made = net(name, dtype, bias)
    module = made.to_torch()
    X = samples(made)
    assert difference(made, X, outputs_of(module, X)) < 4
    again = fastnn.from_torch(module)
    assert again.spec == made.spec
    assert again.params.tobytes() == made.params.tobytes()
    assert (outputs_of(pickle.loads(pickle.dumps(module)), X) == outputs_of(module, X)).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width(width):
    made = net("silu", "float32", sizes=(width, width, 1))
    X = samples(made)
    assert difference(made, X, outputs_of(made.to_torch(), X)) < 4


def test_what_is_written_shares_nothing_and_draws_no_random_numbers():
    made, before = net("tanh"), torch.random.get_rng_state()
    module = made.to_torch()
    assert (torch.random.get_rng_state() == before).all()
    made.params[:] = 0
    assert module[0].weight.abs().sum() > 0


def batch_norm(width, **settings):
    norm = nn.BatchNorm1d(width, **settings)
    torch.manual_seed(0)
    with torch.no_grad():
        for array in (norm.running_mean, norm.weight, norm.bias):
            if array is not None:
                array.normal_()
        norm.running_var.uniform_(0.5, 2)
    return norm


READ = {
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Tanh())), nn.Linear(3, 2)),
    "one linear layer": lambda: nn.Linear(4, 3),
    "flatten, dropout, identity": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(4, 3), nn.Identity(), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(3, 2)
    ),
    "normalised inputs": lambda: nn.Sequential(batch_norm(4), nn.Linear(4, 3), nn.Tanh()),
    "normalised before the activation": lambda: nn.Sequential(nn.Linear(4, 3), batch_norm(3), nn.Tanh()),
    "normalised without biases": lambda: nn.Sequential(nn.Linear(4, 3, bias=False), batch_norm(3), nn.Tanh()),
    "normalised after the activation": lambda: nn.Sequential(
        nn.Linear(4, 3), nn.SiLU(), batch_norm(3), nn.Linear(3, 2, bias=False)
    ),
    "flatten behind normalised values": lambda: nn.Sequential(
        nn.Linear(4, 3), batch_norm(3), nn.Flatten(), nn.Linear(3, 2)
    ),
    "flatten behind a softmax": lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1), nn.Flatten()),
    "normalised twice": lambda: nn.Sequential(
        batch_norm(4), batch_norm(4, affine=False), nn.Linear(4, 3), batch_norm(3), batch_norm(3)
    ),
    "two linear layers in a row": lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, bias=False)),
    "softplus": lambda: nn.Sequential(nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 2)),
    "a layer that is used twice": lambda: nn.Sequential(shared := nn.Linear(4, 4), nn.Tanh(), shared),
    "weights with a norm of their own": lambda: nn.Sequential(weight_norm(nn.Linear(4, 3)), nn.Tanh()).eval(),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("what", READ)
def test_what_is_read(what, dtype):
    check(READ[what](), dtype=dtype)


def test_a_class_made_from_sequential_is_read_unless_it_computes_otherwise():
    class Plain(nn.Sequential):
        pass

    class Twice(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    class Called(nn.Sequential):
        def __call__(self, x):
            return 2 * super().__call__(x)

    class Backwards(nn.Sequential):
        def __iter__(self):
            return reversed(list(super().__iter__()))

    class CalledLinear(nn.Linear):
        def __call__(self, x):
            return 2 * super().__call__(x)

    check(Plain(nn.Linear(4, 3), nn.ReLU()))
    linear = nn.Linear(4, 4)
    for module in (Twice(linear), Called(linear), Backwards(linear, nn.ReLU()), CalledLinear(4, 3)):
        with pytest.raises(ValueError, match=rf"{type(module).__name__}, a class of its own"):
            fastnn.from_torch(module)


def test_infinite_weights_are_scaled_without_a_word():
    module = nn.Sequential(nn.Linear(4, 3), batch_norm(3))
    with torch.no_grad():
        module[0].weight[1, 1], module[1].weight[1] = float("inf"), 0
    made = fastnn.from_torch(module)
    assert np.isnan(made.weights[0]).tolist() == [[False] * 3, [False, True, False], *[[False] * 3] * 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_exactly(dtype):
    module = nn.Linear(4, 3).to(dtype)
    made = fastnn.from_torch(module)
    assert made.spec.dtype == "float32"
    assert (made.weights[0] == module.weight.detach().float().numpy().T).all()


def test_a_view_that_pytorch_has_yet_to_negate_is_read():
    state = {"weight": torch.ones(2, 3), "bias": torch.tensor([1j, -2j]).conj().imag}
    assert fastnn.from_torch(state, ["tanh"]).biases[0].tolist() == [-1, 2]


def test_a_state_dict_in_the_order_of_its_numbers():
    module = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(3, 3), nn.Tanh())]).double()
    state = dict(sorted(module.state_dict().items()))  # "10.weight" before "2.weight", as in a safetensors file
    made = fastnn.from_torch(state, ["tanh"] * 12)
    X = samples(made)
    assert difference(made, X, outputs_of(module, X)) < 8


def test_a_state_dict_of_named_layers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.head = nn.Linear(4, 3), nn.Linear(3, 2)

    module = Net()
    made = fastnn.from_torch(module.state_dict(), ["relu", "identity"])
    assert (made.weights[1] == module.head.weight.detach().numpy().T).all()


def nan_variance():
    norm = nn.BatchNorm1d(3)
    norm.running_var[:] = -1
    return norm


def hooked():
    module = nn.Linear(4, 3)
    module.register_forward_hook(lambda module, args, output: 2 * output)
    return module


def patched(module):
    module.forward = lambda x: 2 * x
    return module


def infinite():
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, affine=False)).double()
    with torch.no_grad():
        module[0].weight.fill_(1e300)
        module[1].running_var.fill_(1e-300)
        module[1].eps = 0.0
    return module


class Own(nn.Module):
    pass


def changed(module, **attributes):
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def of_weights(convert):
    """A layer whose weights are kept in another way."""
    return changed(nn.Linear(4, 3), weight=nn.Parameter(convert(torch.ones(3, 4)), requires_grad=False))


def after(*modules):
    return lambda: fastnn.from_torch(nn.Sequential(nn.Linear(4, 3), *modules))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_traced_module_is_refused():
    traced = torch.jit.trace(nn.Linear(4, 3), torch.ones(1, 4))
    with pytest.raises(ValueError, match=r"the module \(TopLevelTracedModule, a class of its own\) cannot be part"):
        fastnn.from_torch(traced)


REFUSED = {
    r"module '1' \(GELU\) must have approximate tanh \(fastnn does not have the exact GELU\)": after(nn.GELU()),
    r"module '1' \(Hardtanh\) cannot be part of an MLP": after(nn.Hardtanh()),
    r"module '1' \(LeakyReLU\) must have slope 0.01.*; got 0.2": after(nn.LeakyReLU(0.2)),
    r"alpha 1, .*; got 2.0": after(nn.ELU(2.0)),
    "threshold at least 20": after(nn.Softplus(threshold=2)),
    "beta 1": after(nn.Softplus(beta=2)),
    "axis the last": after(nn.Softmax(dim=0)),
    r"'1' \(LogSoftmax\) cannot": after(nn.LogSoftmax(dim=1)),
    r"'1' \(LayerNorm\) cannot": after(nn.LayerNorm(3)),
    r"'1' \(Conv1d\) cannot": after(nn.Conv1d(3, 3, 1)),
    r"'1.0' \(Hardtanh\) cannot": after(nn.Sequential(nn.Hardtanh())),
    r"'2' \(Tanh\) must come right after a dense layer; got it after module '1' \(ReLU\)": after(nn.ReLU(), nn.Tanh()),
    r"'2' \(BatchNorm1d\) must have a dense layer before or behind": after(nn.ReLU(), nn.BatchNorm1d(3)),
    r"'1' \(BatchNorm1d\) must scale 3 features; it scales 5": after(nn.BatchNorm1d(5)),
    "track_running_stats=False": after(nn.BatchNorm1d(3, track_running_stats=False)),
    "must have running statistics": after(changed(nn.BatchNorm1d(3), running_var=None)),
    r"eps of module '1' \(BatchNorm1d\) must be an array of real numbers; got None": after(nn.BatchNorm1d(3, eps=None)),
    "threshold at least 20.*; got 'x'": after(nn.Softplus(threshold="x")),
    "variances above": after(nan_variance()),
    r"'1' \(Softmax\) must be the last step": after(nn.Softmax(dim=1), nn.Linear(3, 2)),
    r"'1' \(Linear\) must take the 3 outputs of module '0'": after(nn.Linear(4, 2)),
    r"'1' \(Flatten\) must flatten": after(nn.Flatten(0)),
    r"'1' \(Flatten\) must come where values have 2 dimensions.*; got a number that is not known": after(nn.Flatten()),
    r"'1' \(Unflatten\) cannot": after(nn.Unflatten(1, (3, 1))),
    r"module '1' \(Tanh\) must have no forward hooks and no forward of its own": after(patched(nn.Tanh())),
    r"module '1' \(Linear\) must be in evaluation mode, by module.eval\(\)": after(weight_norm(nn.Linear(3, 2))),
    r"'1' \(BatchNorm1d\) must fit into a float64 once folded into module '0' \(Linear\)": lambda: fastnn.from_torch(
        infinite()
    ),
    "forward hooks": lambda: fastnn.from_torch(hooked()),
    "an activation|right after": lambda: fastnn.from_torch(nn.Sequential(nn.ReLU(), nn.Linear(4, 3))),
    "must have a dense layer; got none": lambda: fastnn.from_torch(nn.Sequential()),
    r"the module \(Own, a class of its own\) cannot": lambda: fastnn.from_torch(Own()),
    "real numbers; got a Parameter of torch.float32, meta, torch.strided": lambda: fastnn.from_torch(
        nn.Linear(4, 3, device="meta")
    ),
    "real numbers; got a Parameter of torch.float32, cpu, torch.sparse_coo": lambda: fastnn.from_torch(
        of_weights(torch.Tensor.to_sparse)
    ),
    "real numbers; got a Parameter of torch.float8_e4m3fn, cpu": lambda: fastnn.from_torch(
        of_weights(lambda weight: weight.to(torch.float8_e4m3fn))
    ),
    "a.weight must be an array of real numbers; got None": lambda: fastnn.from_torch({"a.weight": None}, ["tanh"]),
    r"the module \(LazyLinear\) cannot": lambda: fastnn.from_torch(nn.LazyLinear(3)),
    "a torch.nn.Module or its state_dict; got 'net.pt'": lambda: fastnn.from_torch("net.pt"),
    "activations must be given": lambda: fastnn.from_torch(nn.Linear(4, 3).state_dict()),
    "activations must be left out": lambda: fastnn.from_torch(nn.Linear(4, 3), ["tanh"]),
    "got '0.running_mean'": lambda: fastnn.from_torch({"0.running_mean": np.ones(3)}, ["tanh"]),
    "the keys of a state_dict must be names; got 3": lambda: fastnn.from_torch({3: np.ones(3)}, ["tanh"]),
    "a weight for each bias": lambda: fastnn.from_torch({"0.bias": np.ones(3)}, ["tanh"]),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused_in_one_sentence(sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        REFUSED[sentence]()
    assert "\n" not in str(caught.value)
