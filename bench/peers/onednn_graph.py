"""oneDNN's graph interface, by its C functions: a graph of a few operations, compiled for shapes that are known.

    graph = Graph("libdnnl.so.3")
    x, y = graph.tensor((4, 8)), graph.tensor((4, 8))
    graph.op("softmax", [x], y, axis=-1)
    call = graph.compile({x: array}, y, output)    # NumPy arrays, which the calls read and write

Needs the library alone, not its headers; numbers are those of dnnl_graph_types.h and dnnl_types.h of version 3.
"""

import ctypes as c
import functools

CPU, INFERENCE_STREAM, VARIABLE, STRIDED, FUSION = 1, 1, 1, 2, 1
MOST_DIMENSIONS = 12
F32 = 3
KINDS = {"add": 2, "divide": 20, "matmul": 39, "softmax": 64}
ATTRIBUTES = {"axis": (0x30, "s64", c.c_int64), "transpose_b": (0x66, "bool", c.c_uint8)}


class LogicalTensor(c.Structure):
    _fields_ = [
        ("id", c.c_size_t),
        ("ndims", c.c_int),
        ("dims", c.c_int64 * MOST_DIMENSIONS),
        ("data_type", c.c_int),
        ("property", c.c_int),
        ("layout_type", c.c_int),
        ("strides", c.c_int64 * MOST_DIMENSIONS),
    ]


class Library:
    """The library with its engine."""

    def __init__(self, path):
        self.c = c.CDLL(str(path))
        self.engine = self.made("dnnl_engine_create", CPU, c.c_size_t(0))
        self.stream = self.made("dnnl_stream_create", self.engine, INFERENCE_STREAM)

    def checked(self, name, *args):
        if status := getattr(self.c, name)(*args):
            raise RuntimeError(f"{name} returned {status}")

    def made(self, name, *args):
        """What the function stores where its first argument points."""
        made = c.c_void_p()
        self.checked(name, c.byref(made), *args)
        return made

    def version(self):
        class Version(c.Structure):
            _fields_ = [("major", c.c_int), ("minor", c.c_int), ("patch", c.c_int)]

        self.c.dnnl_version.restype = c.POINTER(Version)
        found = self.c.dnnl_version().contents
        return f"{found.major}.{found.minor}.{found.patch}"


@functools.cache
def library(path):
    """One for all graphs: what is compiled for one graph is taken for the next one of the same shape, and with another
    engine that would end the process."""
    return Library(path)


class Graph:
    def __init__(self, path):
        self.library = library(path)
        self.checked, self.made = self.library.checked, self.library.made
        self.tensors, self.ops = [], 0
        self.graph = self.made("dnnl_graph_graph_create", CPU)

    def tensor(self, shape):
        """Of float32, dense, rows first."""
        tensor = LogicalTensor(id=len(self.tensors), ndims=len(shape), data_type=F32)
        tensor.property, tensor.layout_type = VARIABLE, STRIDED
        step = 1
        for i in reversed(range(len(shape))):
            tensor.dims[i], tensor.strides[i], step = shape[i], step, step * shape[i]
        self.tensors.append(tensor)
        return tensor.id

    def op(self, kind, inputs, output, **attributes):
        op = self.made("dnnl_graph_op_create", c.c_size_t(self.ops), KINDS[kind], f"{kind}_{self.ops}".encode())
        self.ops += 1
        for name, value in attributes.items():
            number, word, ctype = ATTRIBUTES[name]
            self.checked(f"dnnl_graph_op_set_attr_{word}", op, number, c.byref(ctype(value)), c.c_size_t(1))
        for i in inputs:
            self.checked("dnnl_graph_op_add_input", op, c.byref(self.tensors[i]))
        self.checked("dnnl_graph_op_add_output", op, c.byref(self.tensors[output]))
        self.checked("dnnl_graph_add_op", self.graph, op)

    def partition(self):
        """The whole graph as one partition, or an error that says that it is none."""
        self.checked("dnnl_graph_graph_finalize", self.graph)
        self.checked("dnnl_graph_graph_filter", self.graph, FUSION)
        count = c.c_size_t()
        self.checked("dnnl_graph_graph_get_partition_num", self.graph, c.byref(count))
        if count.value != 1:
            raise RuntimeError(f"not fused: {count.value} partitions")
        partition = c.c_void_p()
        self.checked("dnnl_graph_graph_get_partitions", self.graph, c.c_size_t(1), c.byref(partition))
        supported = c.c_uint8()
        self.checked("dnnl_graph_partition_is_supported", partition, c.byref(supported))
        if not supported.value:
            raise RuntimeError("not supported")
        return partition

    def compile(self, inputs, output, result):
        """inputs: {tensor: array}. The call writes to result."""
        partition, engine = self.partition(), self.library.engine
        compiled = self.made("dnnl_graph_compiled_partition_create", partition)
        places = (c.POINTER(LogicalTensor) * len(inputs))(*(c.pointer(self.tensors[i]) for i in inputs))
        end = c.pointer(self.tensors[output])
        sizes = c.c_size_t(len(inputs)), c.c_size_t(1)
        ends = c.byref(end), engine
        self.checked("dnnl_graph_partition_compile", partition, compiled, sizes[0], places, sizes[1], *ends)

        def memory(tensor, array):
            assert array.flags.c_contiguous and array.dtype.name == "float32"
            address = c.c_void_p(array.ctypes.data)
            return self.made("dnnl_graph_tensor_create", c.byref(self.tensors[tensor]), engine, address)

        given = (c.c_void_p * len(inputs))(*(memory(i, x).value for i, x in inputs.items()))
        taken = (c.c_void_p * 1)(memory(output, result).value)
        c_functions, stream = self.library.c, self.library.stream
        execute, wait = c_functions.dnnl_graph_compiled_partition_execute, c_functions.dnnl_stream_wait

        def call(_alive=(self, inputs, result)):
            if execute(compiled, stream, sizes[0], given, sizes[1], taken) or wait(stream):
                raise RuntimeError("oneDNN refused the call")

        return call
