import type { XenVcpu } from './vcpu.js';

export class VcpuTime {
  readonly vcpu: XenVcpu;

  constructor(vcpu: XenVcpu) {
    this.vcpu = vcpu;
  }
}
