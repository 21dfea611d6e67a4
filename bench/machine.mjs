// A bare machine to measure the engine on: RAM, page tables, one vCPU, no hypervisor.
import { maddr, mfn, mfnToMaddr, vaddr, vaddrToVpn } from '../dist/base/addresses.js';
import { channel } from '../dist/base/events.js';
import { random } from '../dist/base/random.js';
import { Engine } from '../dist/engine/index.js';
import { assembleText } from '../dist/isa/index.js';
import { MachineMemory } from '../dist/memory/index.js';
import { entryAddress, Mmu, PageTables } from '../dist/mmu/index.js';

const FRAMES = 1024;
const PAGE_BYTES = 4096;
const PRESENT_WRITABLE_USER = 0x67n;
const WHY = { what: 'bench' };
/** These guests ask the platform for nothing. */
const HOST = {};

/** A machine with code (assembly text) at `codeAddress` and pages of data from `dataAddress` on; rip is at the code. */
export function machine({ code, codeAddress, dataAddress, dataPages }) {
  const storageOffset = Engine.bytes();
  const memory = new MachineMemory({
    memory: new WebAssembly.Memory({ initial: Math.ceil((storageOffset + FRAMES * PAGE_BYTES) / 65536) }),
    storageOffset,
    storageFrames: FRAMES,
    maxMfn: FRAMES,
  });
  const engine = new Engine({ memory });
  const tables = new PageTables({ memory, events: channel(), clock: () => engine.retired });
  let nextFrame = 0;
  const newFrame = () => {
    const frame = mfn(nextFrame++);
    memory.addFrame(frame);
    return frame;
  };
  const root = newFrame();
  const map = (address) => {
    const page = vaddrToVpn(vaddr(address));
    let table = root;
    for (const level of [4, 3, 2]) {
      const entry = entryAddress(table, page, level);
      if (memory.read64(entry) === 0n)
        tables.storeEntry(entry, BigInt(mfnToMaddr(newFrame())) | PRESENT_WRITABLE_USER, WHY);
      table = mfn(Number(memory.read64(entry) >> 12n));
    }
    const frame = newFrame();
    tables.storeEntry(entryAddress(table, page, 1), BigInt(mfnToMaddr(frame)) | PRESENT_WRITABLE_USER, WHY);
    return frame;
  };
  const bytes = assembleText(code, codeAddress);
  for (let offset = 0; offset < bytes.length; offset += PAGE_BYTES)
    memory.copyIn(maddr(mfnToMaddr(map(codeAddress + BigInt(offset)))), bytes.subarray(offset, offset + PAGE_BYTES));
  for (let page = 0; page < dataPages; page++) map(dataAddress + BigInt(page * PAGE_BYTES));

  const mmu = new Mmu({
    tables,
    staleness: { tlb: 'demand', refill: { kind: 'none' }, cpu: 'intel' },
    random: random(1),
    vcpu: 0,
  });
  mmu.loadCr3(root, WHY);
  const vcpu = engine.createVcpu(mmu, HOST);
  vcpu.rip = codeAddress;
  return { engine, vcpu, codePages: Math.ceil(bytes.length / PAGE_BYTES) };
}
