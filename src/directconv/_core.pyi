from numpy import ndarray

from directconv._spec import ConvSpec

SMALL_CALL: float

class Weights:
    def __init__(
        self,
        spec: ConvSpec,
        element: int,
        codes: tuple[int, int, int, int],
        weight: ndarray,
        bias: ndarray | None,
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...

class Plan:
    def __init__(
        self,
        spec: ConvSpec,
        sizes: tuple[tuple[int, int, int], ...],
        element: int,
        codes: tuple[int, int, int, int],
    ) -> None: ...
    def pack(self, weight: ndarray, bias: ndarray | None) -> Weights: ...
    def execute(
        self,
        weights: Weights,
        input: ndarray,
        residual: ndarray | None,
        out: ndarray,
        threads: int,
    ) -> None: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def operations(self) -> float: ...
    def workspace_bytes(self, threads: int) -> int: ...

def isas() -> list[str]: ...
def fma_operations(isa: int, element: int, repeats: int) -> float: ...
def has_openmp() -> bool: ...
def openmp_threads() -> int: ...
def compiler() -> str: ...
