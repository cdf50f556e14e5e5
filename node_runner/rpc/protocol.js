'use strict';

/**
 * The protocol between Python and this runner, as types. `pybridge/rpc/protocol.py` is its mirror and says the same in more
 * words for the placeholders.
 *
 * A frame on the socket, all integers unsigned little-endian:
 *
 *   offset  size  content
 *   0       4     magic, the bytes "PYB1"
 *   4       4     J, length of the JSON text in bytes, at most 64 MiB
 *   8       8     P, length of the payload in bytes, at most 8 GiB
 *   16      J     a JSON-RPC 2.0 message in UTF-8
 *   16+J    P     the message's tensors back to back, in the order of its member `tensors`
 *
 * A tensor is little-endian and in C order. A string tensor of n elements is n+1 unsigned 64-bit offsets, counted from the end
 * of the offsets, then the bytes of all elements. This side speaks first, with `hello`.
 *
 * @typedef {'bool'|'int8'|'uint8'|'int16'|'uint16'|'int32'|'uint32'|'int64'|'uint64'|'float16'|'float32'|'float64'
 *   |'complex64'|'string'} DType
 *
 * @typedef {{dtype: DType, shape: number[], nbytes: number}} TensorDescriptor
 *
 * @typedef {{name: string, stack: string, hint?: string, properties?: Record<string, unknown>, cause?: ErrorObject,
 *   python?: number}} ErrorData
 *   `properties`: the error's own members, such as `code`; `cause`: the error that it came from; `python`: the number of the exception of a
 *   Python function that it came from
 *
 * @typedef {{code: number, message: string, data?: ErrorData}} ErrorObject
 *
 * @typedef {{protocol: number, pid: number, nodeVersion: string}} Hello  params of the notification `hello`
 *
 * @typedef {{id: number}} CancelParams  params of the notification `$/cancel`
 *
 * @typedef {{id: number, value: unknown}} ProgressParams  params of the notification `$/progress`
 *
 * @typedef {{objects: [number, number][]}} ReleaseParams  params of Python's notification `$/release`: JavaScript objects that it has let
 *   go, each with the number of crossings
 *
 * @typedef {{callback: number, args: unknown[]}} CallbackParams  params of this side's request `$/callback`
 *
 * @typedef {{callbacks: [number, number][], serial: number}} ReleasedParams  params of this side's notification `$/released`: Python functions
 *   that it has let go
 *
 * @typedef {{jsonrpc: '2.0', id?: number|null, method?: string, params?: unknown, result?: unknown, error?: ErrorObject,
 *   tensors?: TensorDescriptor[]}} Message
 *
 * @typedef {{signal: AbortSignal, progress: (value: unknown) => void}} CallContext  what a method gets beside its params
 *
 * @typedef {(params: any, context: CallContext) => unknown} Method  may be async
 */

const PROTOCOL_VERSION = 2;
const MAGIC = 0x31425950;
const HEADER_BYTES = 16;
const MAX_JSON_BYTES = 64 * 2 ** 20;
const MAX_PAYLOAD_BYTES = 8 * 2 ** 30;
const MAX_DEPTH = 200;
const MAX_TENSOR_RANK = 32;
const MAX_BIGINT_DIGITS = 4000;

const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603;
const JAVASCRIPT_ERROR = -32000;
const PYTHON_ERROR = -32001;
const CANCELLED = -32800;

const PROTOCOL_EXIT_CODE = 70;

module.exports = {
  PROTOCOL_VERSION,
  MAGIC,
  HEADER_BYTES,
  MAX_JSON_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_DEPTH,
  MAX_TENSOR_RANK,
  MAX_BIGINT_DIGITS,
  PARSE_ERROR,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  INVALID_PARAMS,
  INTERNAL_ERROR,
  JAVASCRIPT_ERROR,
  PYTHON_ERROR,
  CANCELLED,
  PROTOCOL_EXIT_CODE,
};
