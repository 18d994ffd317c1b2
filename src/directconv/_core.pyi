from collections.abc import Callable

from numpy import ndarray

from directconv._spec import ConvSpec

SMALL_CALL: float

class Weights:
    @property
    def nbytes(self) -> int: ...

class Plan:
    def __init__(
        self,
        spec: ConvSpec,
        sizes: tuple[tuple[int, int, int], ...],
        element: int,
        codes: tuple[int, int, int, int, bool],
    ) -> None: ...
    def pack(self, weight: ndarray, bias: ndarray | None, storage: int = 0) -> Weights: ...
    def execute(
        self,
        weights: Weights,
        input: ndarray,
        residual: ndarray | None,
        out: ndarray,
        threads: int,
        input_storage: int = 0,
        residual_storage: int = 0,
        out_storage: int = 0,
    ) -> None: ...
    @property
    def packing(self) -> int: ...
    @property
    def casts(self) -> bool: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def family(self) -> str: ...
    def algorithm_with(self, weights: Weights) -> str: ...
    def family_with(self, weights: Weights) -> str: ...
    @property
    def operations(self) -> float: ...
    def imbalance(self, batch: int, threads: int) -> float: ...
    def workspace_bytes(self, threads: int) -> int: ...

class Spread:
    def __init__(
        self,
        spec: ConvSpec,
        sizes: tuple[tuple[int, int, int], ...],
        element: int,
        codes: tuple[int, int, int, int, bool],
    ) -> None: ...
    def pack(self, weight: ndarray, bias: ndarray | None) -> tuple[ndarray, ndarray | None]: ...
    def execute(
        self,
        weights: tuple[ndarray, ndarray | None],
        input: ndarray,
        residual: ndarray | None,
        out: ndarray,
        threads: int,
    ) -> None: ...
    @property
    def packing(self) -> int: ...
    @property
    def operations(self) -> float: ...
    def workspace_bytes(self, threads: int) -> int: ...

class PlainCall:
    def __init__(
        self,
        plan: Plan,
        weights: Weights,
        kind: type[ndarray],
        shape: tuple[int, ...],
        format: str,
        empty: Callable[..., ndarray],
        arguments: tuple[object, ...],
        threads: int | Callable[[], int],
    ) -> None: ...
    def run(self, input: object) -> ndarray | None: ...

class WeightGradient:
    def __init__(
        self,
        spec: ConvSpec,
        sizes: tuple[tuple[int, int, int], ...],
        element: int,
        codes: tuple[int, int, int, int, bool],
    ) -> None: ...
    def execute(self, input: ndarray, grad: ndarray, out: ndarray, threads: int) -> None: ...
    def family(self, batch: int) -> str: ...
    @property
    def operations(self) -> float: ...
    def workspace_bytes(self, batch: int, threads: int) -> int: ...

MOST_APART: int

def move_apart(isa: int, element: int, weight: ndarray, out: ndarray) -> None: ...
def filter_planes(
    codes: tuple[int, int, int, int],
    padding_value: float,
    sizes: tuple[tuple[int, int, int, int], ...],
    channels: int,
    weights: ndarray,
    order: ndarray | None,
    sign: int,
    input: ndarray,
    input_type: int,
    out: ndarray,
    output_type: int,
    saturates: bool,
    scale: float,
    divisor: float,
    reach: float,
    doubt: float,
    threads: int,
) -> None: ...
def isas() -> list[str]: ...
def fma_operations(isa: int, element: int, repeats: int) -> float: ...
def has_openmp() -> bool: ...
def has_threads() -> bool: ...
def default_threads() -> int: ...
def compiler() -> str: ...
def use_openmp_regions(wanted: bool) -> None: ...
