# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The binding: passes shapes, pointers and strides to the C core, and turns its status into an
exception. It decides nothing; arguments have been checked by the callers (see _spec.py)."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.object cimport PyObject_CallObject


cdef extern from "directconv.h" nogil:
    ctypedef enum dc_status:
        DC_OK
        DC_NO_MEMORY
        DC_TOO_LARGE
        DC_UNSUPPORTED
        DC_INVALID
    ctypedef enum dc_element:
        pass
    ctypedef enum dc_storage:
        pass
    ctypedef enum dc_layout:
        DC_CHANNELS_LAST
    ctypedef enum dc_algorithm:
        pass
    ctypedef enum dc_padding:
        pass
    ctypedef struct dc_axis:
        # named through C names, since `in` is a word of Python
        Py_ssize_t size "in"
        Py_ssize_t out, kernel, stride, dilation, before, interleaved
    ctypedef struct dc_problem:
        int isa
        dc_element element
        dc_layout layout
        dc_algorithm algorithm
        dc_padding padding
        bint packs_once
        Py_ssize_t groups, in_channels, out_channels
        dc_axis axis[3]
        double padding_value, low, high
    ctypedef struct dc_tensor:
        void *data
        Py_ssize_t stride[5]
        dc_storage storage
    ctypedef struct dc_weights:
        pass
    ctypedef struct dc_plan:
        pass
    ctypedef struct dc_gradient:
        pass
    dc_status dc_gradient_create(const dc_problem *, dc_gradient **, const char **)
    void dc_gradient_destroy(dc_gradient *)
    dc_status dc_gradient_execute(const dc_gradient *, const dc_tensor *, const dc_tensor *,
                                  void *, Py_ssize_t, int)
    const char *dc_gradient_family(const dc_gradient *, Py_ssize_t)
    size_t dc_gradient_workspace(const dc_gradient *, Py_ssize_t, int)
    double dc_gradient_operations(const dc_gradient *)
    enum: DC_MOST_APART
    dc_status dc_move_apart(int, dc_element, const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                            void *)
    dc_status dc_spread(const dc_problem *, const dc_tensor *, const void *, Py_ssize_t,
                        const dc_tensor *, const dc_tensor *, const dc_tensor *, Py_ssize_t, int)
    size_t dc_spread_workspace(const dc_problem *, int)
    double dc_spread_operations(const dc_problem *)
    ctypedef enum dc_number:
        pass
    ctypedef enum dc_filter_method:
        pass
    ctypedef struct dc_filter:
        int isa
        dc_element element
        dc_filter_method method
        dc_padding padding
        double padding_value
        dc_axis axis[3]
        Py_ssize_t channels
        const double *weights
        Py_ssize_t terms
        const Py_ssize_t *positions
        const Py_ssize_t *mirrors
        int sign
        dc_number input, output
        bint saturates
        double scale, divisor, reach, doubt
    dc_status dc_filter_planes(const dc_filter *, const void *, const Py_ssize_t *, void *,
                               const Py_ssize_t *, int)
    size_t dc_element_bytes(dc_element)
    dc_status dc_weights_create(const dc_plan *, const dc_tensor *, const void *, Py_ssize_t,
                                dc_weights **, const char **)
    void dc_weights_destroy(dc_weights *)
    size_t dc_weights_bytes(const dc_weights *)
    dc_status dc_plan_create(const dc_problem *, dc_plan **, const char **)
    void dc_plan_destroy(dc_plan *)
    dc_status dc_plan_execute(const dc_plan *, const dc_weights *, const dc_tensor *,
                              const dc_tensor *, const dc_tensor *, Py_ssize_t, int)
    long long dc_plan_packing(const dc_plan *)
    bint dc_plan_casts(const dc_plan *)
    const char *dc_plan_algorithm(const dc_plan *, const dc_weights *)
    const char *dc_plan_family(const dc_plan *, const dc_weights *)
    size_t dc_plan_workspace(const dc_plan *, int)
    double dc_plan_imbalance(const dc_plan *, Py_ssize_t, int)
    double dc_plan_operations(const dc_plan *)
    const char *dc_isa_name(int)
    double dc_fma_operations(int, dc_element, Py_ssize_t)
    bint dc_has_openmp()
    bint dc_has_threads()
    int dc_default_threads()
    void dc_use_openmp_regions(bint wanted)

cdef extern from *:
    """
    #if defined(__clang__)
    #define DC_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define DC_COMPILER "gcc " __VERSION__
    #else
    #define DC_COMPILER "unknown"
    #endif
    """
    const char *DC_COMPILER

# Below this many operations neither giving up the GIL nor a second thread is worth its cost.
SMALL_CALL = 2e5
cdef double small_call = SMALL_CALL


cdef int check(dc_status status, const char *reason) except -1:
    if status == DC_OK:
        return 0
    if status == DC_NO_MEMORY:
        raise MemoryError("not enough memory for the packed weights or the workspace")
    if status == DC_TOO_LARGE:
        raise OverflowError("the sizes of this convolution do not fit in the address space")
    if status == DC_UNSUPPORTED:
        raise ValueError(reason.decode())
    raise RuntimeError("inconsistent arguments reached the core; please report this")


cdef int read_problem(object spec, tuple sizes, int element, tuple codes,
                      dc_problem *p) except -1:
    """Fills `p` from a ConvSpec and the sizes along each axis: (input, output, pad before)."""
    cdef int dims = spec.dims, a, i
    p.element = <dc_element>element
    p.isa, p.layout, p.algorithm, p.padding, p.packs_once = codes
    p.groups = spec.groups
    p.in_channels = spec.in_channels
    p.out_channels = spec.out_channels
    p.padding_value = spec.padding_value
    p.low, p.high = spec.activation or (float("-inf"), float("inf"))
    for a in range(3):
        p.axis[a] = dc_axis(1, 1, 1, 1, 1, 0, 1)
    for i in range(dims):
        a = 3 - dims + i
        p.axis[a].kernel = spec.kernel[i]
        p.axis[a].stride = spec.stride[i]
        p.axis[a].dilation = spec.dilation[i]
        p.axis[a].size, p.axis[a].out, p.axis[a].before = sizes[i]
    return 0


cdef int read_tensor(Py_buffer *b, int storage, int dims, bint channels_last,
                     dc_tensor *t) except -1:
    """Strides of an image of `dims` axes, batched or not, in the order N, C, D, H, W."""
    cdef int batched = b.ndim == dims + 2
    cdef int channel = b.ndim - 1 if channels_last else batched
    cdef int space = batched if channels_last else batched + 1
    cdef int i
    t.data = b.buf
    t.storage = <dc_storage>storage
    for i in range(5):
        t.stride[i] = 0
    if batched:
        t.stride[0] = b.strides[0] // b.itemsize
    t.stride[1] = b.strides[channel] // b.itemsize
    for i in range(dims):
        t.stride[5 - dims + i] = b.strides[space + i] // b.itemsize
    return 0


cdef class Weights:
    """Packed weights and bias; immutable. Made by Plan.pack."""
    cdef dc_weights *weights
    cdef object given  # may be read while a plan is executed

    def __dealloc__(self):
        dc_weights_destroy(self.weights)

    @property
    def nbytes(self):
        return dc_weights_bytes(self.weights)


cdef class Plan:
    """A convolution of one shape: algorithm, schedule, workspace; immutable."""
    cdef dc_plan *plan
    cdef dc_problem problem
    cdef int dims
    cdef bint channels_last
    cdef double image_operations

    def __cinit__(self, spec, tuple sizes, int element, tuple codes):
        cdef const char *reason = NULL
        cdef dc_status status
        read_problem(spec, sizes, element, codes, &self.problem)
        self.dims = spec.dims
        self.channels_last = self.problem.layout == DC_CHANNELS_LAST
        status = dc_plan_create(&self.problem, &self.plan, &reason)
        check(status, reason)
        self.image_operations = dc_plan_operations(self.plan)

    def __dealloc__(self):
        dc_plan_destroy(self.plan)

    def pack(self, weight, bias, int storage=0):
        """The weights for this plan; arrays of its element type, but see `execute`."""
        cdef Weights packed = Weights()
        cdef dc_tensor tensor
        cdef Py_buffer w, b
        cdef dc_status status
        cdef const char *reason = NULL
        PyObject_GetBuffer(weight, &w, PyBUF_STRIDED_RO)
        try:
            read_tensor(&w, storage, self.dims, False, &tensor)
            if bias is None:
                status = dc_weights_create(self.plan, &tensor, NULL, 0, &packed.weights,
                                           &reason)
            else:
                PyObject_GetBuffer(bias, &b, PyBUF_STRIDED_RO)
                status = dc_weights_create(self.plan, &tensor, b.buf,
                                           b.strides[0] // b.itemsize, &packed.weights, &reason)
                PyBuffer_Release(&b)
        finally:
            PyBuffer_Release(&w)
        check(status, reason)
        if not self.problem.packs_once:
            packed.given = weight
        return packed

    def execute(self, Weights weights not None, input, residual, out, int threads,
                int input_storage=0, int residual_storage=0, int out_storage=0):
        """Writes the convolution of `input` to `out`. All arrays have the shapes of the plan's
        geometry and its element type; if it `casts`, also one of those that dc_storage lists."""
        cdef Py_buffer x, y, r
        cdef dc_tensor residual_tensor
        cdef dc_tensor *add = NULL
        cdef dc_status status
        PyObject_GetBuffer(input, &x, PyBUF_STRIDED_RO)
        try:
            PyObject_GetBuffer(out, &y, PyBUF_STRIDED)
            try:
                if residual is not None:
                    PyObject_GetBuffer(residual, &r, PyBUF_STRIDED_RO)
                    read_tensor(&r, residual_storage, self.dims, self.channels_last, &residual_tensor)
                    add = &residual_tensor
                try:
                    status = convolve(self, weights, &x, input_storage, add, &y, out_storage, threads)
                finally:
                    if add != NULL:
                        PyBuffer_Release(&r)
            finally:
                PyBuffer_Release(&y)
        finally:
            PyBuffer_Release(&x)
        check(status, NULL)

    @property
    def packing(self):
        """Plans of one layer with equal numbers may share weights."""
        return dc_plan_packing(self.plan)

    @property
    def casts(self):
        """Whether arrays may be stored in a half format."""
        return dc_plan_casts(self.plan)

    @property
    def algorithm(self):
        return dc_plan_algorithm(self.plan, NULL).decode()

    @property
    def family(self):
        return dc_plan_family(self.plan, NULL).decode()

    def algorithm_with(self, Weights weights not None):
        """The algorithm for these weights, which may be special."""
        return dc_plan_algorithm(self.plan, weights.weights).decode()

    def family_with(self, Weights weights not None):
        return dc_plan_family(self.plan, weights.weights).decode()

    @property
    def operations(self):
        return self.image_operations

    def imbalance(self, Py_ssize_t batch, int threads):
        """The work of the slowest thread over the mean."""
        return dc_plan_imbalance(self.plan, batch, threads)

    def workspace_bytes(self, int threads):
        return dc_plan_workspace(self.plan, threads)


cdef dc_status convolve(Plan plan, Weights weights, Py_buffer *x, int input_storage,
                        dc_tensor *add, Py_buffer *y, int out_storage, int threads) except *:
    cdef dc_tensor input, out
    cdef Py_ssize_t batch = x.shape[0] if x.ndim == plan.dims + 2 else 1
    cdef dc_status status
    read_tensor(x, input_storage, plan.dims, plan.channels_last, &input)
    read_tensor(y, out_storage, plan.dims, plan.channels_last, &out)
    if plan.image_operations * batch < small_call:
        return dc_plan_execute(plan.plan, weights.weights, &input, add, &out, batch, threads)
    with nogil:
        status = dc_plan_execute(plan.plan, weights.weights, &input, add, &out, batch, threads)
    return status


cdef class PlainCall:
    """A plan, its weights and one shape, for calls that need nothing else: no residual, no cast, a
    new array for the result, which empty(*arguments) makes, and as many threads as `threads` says
    or returns."""
    cdef Plan plan
    cdef Weights weights
    cdef object kind, empty, threads
    cdef tuple arguments
    cdef int axes
    cdef Py_ssize_t shape[5]
    cdef char format

    def __cinit__(self, Plan plan not None, Weights weights not None, type kind, tuple shape,
                  str format, empty, tuple arguments, threads):
        cdef int a
        self.plan, self.weights, self.threads = plan, weights, threads
        self.kind, self.empty, self.arguments = kind, empty, arguments
        self.axes = len(shape)
        for a in range(self.axes):
            self.shape[a] = shape[a]
        self.format = ord(format)

    def run(self, input):
        """The convolution of an array. None if it is not of the type, shape and format that this is
        for, or not aligned."""
        cdef Py_buffer x, y
        cdef dc_status status
        cdef int threads
        if type(input) is not self.kind:
            return None
        try:
            PyObject_GetBuffer(input, &x, PyBUF_STRIDED_RO | PyBUF_FORMAT)
        except (BufferError, ValueError):  # a dtype that buffers do not have
            return None
        try:
            if not serves(self, &x):
                return None
            threads = self.threads if type(self.threads) is int else self.threads()
            out = PyObject_CallObject(self.empty, self.arguments)
            PyObject_GetBuffer(out, &y, PyBUF_STRIDED)
            try:
                status = convolve(self.plan, self.weights, &x, 0, NULL, &y, 0, threads)
            finally:
                PyBuffer_Release(&y)
        finally:
            PyBuffer_Release(&x)
        check(status, NULL)
        return out


cdef bint serves(PlainCall call, Py_buffer *x) noexcept:
    cdef size_t apart = <size_t>x.buf  # with all strides in its lower bits
    cdef int a
    if x.ndim != call.axes or x.format[0] != call.format or x.format[1] != 0:
        return False
    for a in range(call.axes):
        if x.shape[a] != call.shape[a]:
            return False
        apart |= <size_t>x.strides[a]
    return apart % <size_t>x.itemsize == 0


cdef class WeightGradient:
    """The gradient of a convolution of one shape with respect to its weights; immutable."""
    cdef dc_gradient *gradient
    cdef int dims
    cdef bint channels_last
    cdef double image_operations

    def __cinit__(self, spec, tuple sizes, int element, tuple codes):
        cdef dc_problem problem
        cdef const char *reason = NULL
        read_problem(spec, sizes, element, codes, &problem)
        self.dims = spec.dims
        self.channels_last = problem.layout == DC_CHANNELS_LAST
        cdef dc_status status = dc_gradient_create(&problem, &self.gradient, &reason)
        check(status, reason)
        self.image_operations = dc_gradient_operations(self.gradient)

    def __dealloc__(self):
        dc_gradient_destroy(self.gradient)

    def execute(self, input, grad, out, int threads):
        """Writes the gradient to `out`, which is contiguous. All arrays have the element type and
        the shapes of this gradient."""
        cdef Py_buffer x, g, w
        cdef dc_tensor input_tensor, grad_tensor
        cdef Py_ssize_t batch
        cdef dc_status status
        PyObject_GetBuffer(input, &x, PyBUF_STRIDED_RO)
        try:
            PyObject_GetBuffer(grad, &g, PyBUF_STRIDED_RO)
            try:
                PyObject_GetBuffer(out, &w, PyBUF_STRIDED)
                try:
                    batch = x.shape[0] if x.ndim == self.dims + 2 else 1
                    read_tensor(&x, 0, self.dims, self.channels_last, &input_tensor)
                    read_tensor(&g, 0, self.dims, self.channels_last, &grad_tensor)
                    if self.image_operations * batch < small_call:
                        status = dc_gradient_execute(self.gradient, &input_tensor, &grad_tensor,
                                                     w.buf, batch, threads)
                    else:
                        with nogil:
                            status = dc_gradient_execute(self.gradient, &input_tensor,
                                                         &grad_tensor, w.buf, batch, threads)
                finally:
                    PyBuffer_Release(&w)
            finally:
                PyBuffer_Release(&g)
        finally:
            PyBuffer_Release(&x)
        check(status, NULL)

    def family(self, Py_ssize_t batch):
        """Which method serves so many images."""
        return dc_gradient_family(self.gradient, batch).decode()

    @property
    def operations(self):
        """For one image."""
        return self.image_operations

    def workspace_bytes(self, Py_ssize_t batch, int threads):
        return dc_gradient_workspace(self.gradient, batch, threads)


cdef class Spread:
    """The transpose of a depthwise convolution with stride 2 along the last axis. Takes the place of a Plan."""
    cdef dc_problem problem
    cdef int dims

    def __cinit__(self, spec, tuple sizes, int element, tuple codes):
        read_problem(spec, sizes, element, codes, &self.problem)
        self.dims = spec.dims

    def pack(self, weight, bias):
        """Nothing to do: weights and bias are read as they are."""
        return weight, bias

    def execute(self, tuple weights not None, input, residual, out, int threads):
        """Writes the transpose of `input` to `out`. All arrays have the element type of this
        problem and the shapes of its geometry."""
        cdef Py_buffer x, y, r, w, b
        cdef dc_tensor x_tensor, y_tensor, r_tensor, w_tensor
        cdef dc_tensor *add = NULL
        cdef const void *bias = NULL
        cdef Py_ssize_t batch, bias_stride = 0
        cdef dc_status status
        weight, given_bias = weights
        PyObject_GetBuffer(input, &x, PyBUF_STRIDED_RO)
        try:
            PyObject_GetBuffer(out, &y, PyBUF_STRIDED)
            try:
                PyObject_GetBuffer(weight, &w, PyBUF_STRIDED_RO)
                try:
                    if given_bias is not None:
                        PyObject_GetBuffer(given_bias, &b, PyBUF_STRIDED_RO)
                        bias = b.buf
                        bias_stride = b.strides[0] // b.itemsize
                    try:
                        if residual is not None:
                            PyObject_GetBuffer(residual, &r, PyBUF_STRIDED_RO)
                            read_tensor(&r, 0, self.dims, False, &r_tensor)
                            add = &r_tensor
                        try:
                            batch = x.shape[0] if x.ndim == self.dims + 2 else 1
                            read_tensor(&x, 0, self.dims, False, &x_tensor)
                            read_tensor(&y, 0, self.dims, False, &y_tensor)
                            read_tensor(&w, 0, self.dims, False, &w_tensor)
                            with nogil:
                                status = dc_spread(&self.problem, &w_tensor, bias, bias_stride,
                                                   &x_tensor, add, &y_tensor, batch, threads)
                        finally:
                            if add != NULL:
                                PyBuffer_Release(&r)
                    finally:
                        if bias != NULL:
                            PyBuffer_Release(&b)
                finally:
                    PyBuffer_Release(&w)
            finally:
                PyBuffer_Release(&y)
        finally:
            PyBuffer_Release(&x)
        check(status, NULL)

    @property
    def packing(self):
        return 0

    @property
    def operations(self):
        """For one image."""
        return dc_spread_operations(&self.problem)

    def workspace_bytes(self, int threads):
        return dc_spread_workspace(&self.problem, threads)


MOST_APART = DC_MOST_APART


def move_apart(int isa, int element, weight, out):
    """Writes weights (C, OC, positions) to `out` (C, positions, OC); neither has gaps."""
    cdef Py_buffer w, y
    cdef dc_status status
    PyObject_GetBuffer(weight, &w, PyBUF_STRIDED_RO)
    try:
        PyObject_GetBuffer(out, &y, PyBUF_STRIDED)
        try:
            with nogil:
                status = dc_move_apart(isa, <dc_element>element, w.buf, w.shape[0], w.shape[1],
                                       w.shape[2], y.buf)
        finally:
            PyBuffer_Release(&y)
    finally:
        PyBuffer_Release(&w)
    check(status, NULL)


def filter_planes(tuple codes, double padding_value, tuple sizes, Py_ssize_t channels,
                  weights, order, int sign,
                  input, int input_type, out, int output_type, bint saturates,
                  double scale, double divisor, double reach, double doubt, int threads):
    """Writes a filter of `input` to `out`, as dc_filter says.

    Both have three axes, and rows without gaps, the last one of pixels times channels; `sizes`
    are (input, output, kernel, pad before) along each, in pixels. `weights` are float64 without
    gaps; `order` is None or an array of intp: a row of positions, and perhaps one of mirrors.
    """
    cdef dc_filter f
    cdef Py_buffer x, y, w, o
    cdef Py_ssize_t x_strides[2]
    cdef Py_ssize_t y_strides[2]
    cdef dc_status status
    cdef int a
    f.isa, f.element, f.method, f.padding = codes
    f.padding_value = padding_value
    for a in range(3):
        f.axis[a] = dc_axis(1, 1, 1, 1, 1, 0, 1)
        f.axis[a].size, f.axis[a].out, f.axis[a].kernel, f.axis[a].before = sizes[a]
    f.channels = channels
    f.terms = 0
    f.positions = f.mirrors = NULL
    f.sign = sign
    f.input = <dc_number>input_type
    f.output = <dc_number>output_type
    f.saturates = saturates
    f.scale, f.divisor, f.reach, f.doubt = scale, divisor, reach, doubt
    PyObject_GetBuffer(weights, &w, PyBUF_STRIDED_RO)
    try:
        f.weights = <const double *>w.buf
        PyObject_GetBuffer(input, &x, PyBUF_STRIDED_RO)
        try:
            PyObject_GetBuffer(out, &y, PyBUF_STRIDED)
            try:
                for a in range(2):
                    x_strides[a] = x.strides[a] // x.itemsize
                    y_strides[a] = y.strides[a] // y.itemsize
                if order is not None:
                    PyObject_GetBuffer(order, &o, PyBUF_STRIDED_RO)
                    f.positions = <const Py_ssize_t *>o.buf
                    f.terms = o.shape[1]
                    if o.shape[0] == 2:
                        f.mirrors = f.positions + f.terms
                try:
                    with nogil:
                        status = dc_filter_planes(&f, x.buf, x_strides, y.buf, y_strides,
                                                  threads)
                finally:
                    if order is not None:
                        PyBuffer_Release(&o)
            finally:
                PyBuffer_Release(&y)
        finally:
            PyBuffer_Release(&x)
    finally:
        PyBuffer_Release(&w)
    check(status, NULL)


def isas():
    """Names of the instruction sets built in and present here, best first."""
    cdef int i = 0
    names = []
    while dc_isa_name(i) != NULL:
        names.append(dc_isa_name(i).decode())
        i += 1
    return names


def fma_operations(int isa, int element, Py_ssize_t repeats):
    cdef double operations
    with nogil:
        operations = dc_fma_operations(isa, <dc_element>element, repeats)
    return operations


def has_openmp():
    return dc_has_openmp()


def has_threads():
    return dc_has_threads()


def default_threads():
    return dc_default_threads()


def compiler():
    return DC_COMPILER.decode()


def use_openmp_regions(bint wanted):
    dc_use_openmp_regions(wanted)
