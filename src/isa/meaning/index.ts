// What every instruction means, by the name that the rows use. Reading order: semantics (the language), expression, flags,
// then any of the others.

export {
  adc,
  adcx,
  add,
  adox,
  and,
  cmp,
  cmpxchg,
  cmpxchg8b,
  dec,
  inc,
  neg,
  not,
  or,
  sbb,
  sub,
  test,
  xadd,
  xor,
} from './arithmetic.js';
export { bsf, bsr, bswap, bt, btc, btr, bts, lzcnt, movbe, popcnt, tzcnt } from './bits.js';
export {
  call,
  cliSti,
  int,
  int1,
  int3,
  jcc,
  jmp,
  jrcxz,
  loop,
  loope,
  loopne,
  portIn,
  portIns,
  portOut,
  portOuts,
  privileged,
  ret,
  syscall,
  sysenter,
  ud,
} from './control.js';
export {
  cbw,
  clc,
  cld,
  clflush,
  cmc,
  cmovcc,
  cwd,
  lahf,
  lea,
  mov,
  movsx,
  movzx,
  nop,
  sahf,
  setcc,
  stc,
  std,
  xchg,
  xlat,
} from './moves.js';
export { div, idiv, imul, imulTwo, mul } from './multiply.js';
export {
  callFar,
  iret,
  jmpFar,
  lar,
  lfs,
  lgs,
  lsl,
  lss,
  movFromSegment,
  movToSegment,
  popSegment,
  pushSegment,
  retFar,
  verr,
  verw,
} from './segments.js';
export { rcl, rcr, rol, ror, sar, shl, shld, shr, shrd } from './shifts.js';
export { enter, leave, pop, popf, push, pushf } from './stack.js';
export { cmps, lods, movs, scas, stos } from './strings.js';
export { cpuid, lfence, rdtsc, rdtscp, sgdt, sidt, sldt, smsw, str, xgetbv } from './system.js';
export * from './vector-approximations.js';
export * from './vector-convert.js';
export * from './vector-float.js';
export * from './vector-integer.js';
export * from './vector-moves.js';
export * from './vector-shuffles.js';
export * from './vector-state.js';
export * from './vector-strings.js';
export {
  fcmovcc,
  fldcw,
  fldenv,
  fnclex,
  fninit,
  fnop,
  fnsave,
  fnstcw,
  fnstenv,
  fnstsw,
  frstor,
  wait,
  x87Flags,
  x87Load,
  x87Stack,
  x87Store,
} from './x87.js';
