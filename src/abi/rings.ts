// The pages that a guest shares with its console's backend and with xenstore: offsets of rings and of their free-running
// indices, and the form of a xenstore message.
// Source: Xen 4.17 public/io/console.h, public/io/xs_wire.h.
//
//   console page    0 in[1024]    0x400 out[2048]   0xc00 in_cons   0xc04 in_prod   0xc08 out_cons   0xc0c out_prod
//   xenstore page   0 req[1024]   0x400 rsp[1024]   0x800 req_cons  0x804 req_prod  0x808 rsp_cons   0x80c rsp_prod

export const XENCONS_in = 0;
export const XENCONS_IN_BYTES = 1024;
export const XENCONS_out = 0x400;
export const XENCONS_OUT_BYTES = 2048;
export const XENCONS_in_cons = 0xc00;
export const XENCONS_in_prod = 0xc04;
export const XENCONS_out_cons = 0xc08;
export const XENCONS_out_prod = 0xc0c;

export const XENSTORE_RING_BYTES = 1024;
export const XENSTORE_req = 0;
export const XENSTORE_rsp = 0x400;
export const XENSTORE_req_cons = 0x800;
export const XENSTORE_req_prod = 0x804;
export const XENSTORE_rsp_cons = 0x808;
export const XENSTORE_rsp_prod = 0x80c;
export const XENSTORE_server_features = 0x810;
export const XENSTORE_connection = 0x814;
export const XENSTORE_error = 0x818;

/** A message's header: type, request id, transaction id, payload length; 4 bytes each. */
export const XSD_HEADER_BYTES = 16;
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;

/** `connection` of the xenstore page, and `error` when the daemon has given a guest up. */
export const XENSTORE_CONNECTED = 0;
export const XENSTORE_RECONNECT = 1;
export const XENSTORE_ERROR_NONE = 0;
export const XENSTORE_ERROR_COMM = 1;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;
