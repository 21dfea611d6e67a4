// Binary floating point in software, with every flag and rounding mode of x86: exact results in big integers, rounded once.
// Reading order: format (values and encodings), rounding (flags, overflow, underflow), arithmetic, convert, transcendental;
// scalar is SSE's view of it (bit patterns, MXCSR), ../x87 the x87's.

export * from './arithmetic.js';
export * from './convert.js';
export * from './format.js';
export * from './rounding.js';
export * as scalar from './scalar.js';
export * from './transcendental.js';
