// Debian's stock Linux, from its package, with Debian's busybox as its user space. `npm run test:guests`; some minutes.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { paravane } from '../cli/paravane.js';
import { debianDependency, debianFile } from '../support/debian.js';
import { initramfs } from '../support/initramfs.js';

const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox uname -a
/bin/busybox seq 1 20000 | /bin/busybox sha256sum
/bin/busybox printf '%.6f\\n' 3.14159265358979
/bin/busybox poweroff -f
`;

test('linux-image-cloud-amd64 boots to user space, computes as it should, and powers off', (context) => {
  const image = debianDependency('linux-image-cloud-amd64');
  if ('missing' in image) return context.skip(image.missing);
  const kernel = debianFile(image.name, `boot/vmlinuz-${image.name.replace('linux-image-', '')}`);
  const busybox = debianFile('busybox-static', 'bin/busybox');
  if ('missing' in kernel) return context.skip(kernel.missing);
  if ('missing' in busybox) return context.skip(busybox.missing);
  const initrd = join(mkdtempSync(join(tmpdir(), 'paravane-linux-')), 'initramfs.cpio');
  const folder = (name: string) => ({ name, mode: 0o755 });
  const files = [
    ...['bin', 'dev', 'proc'].map(folder),
    { name: 'bin/busybox', bytes: busybox.bytes, mode: 0o755 },
    { name: 'init', bytes: Buffer.from(INIT), mode: 0o755 },
  ];
  writeFileSync(initrd, initramfs(files));

  const options = ['--memory', '256M', '--append', 'console=hvc0', '--time-limit', '1500'];
  const { status, stdout, stderr } = paravane(['run', kernel.path, '--initrd', initrd, ...options]);
  expect(stderr).toContain('the guest ended (poweroff)');
  expect(status).toBe(0);
  expect(stdout).toContain('Hypervisor detected: Xen PV');
  expect(stdout).toMatch(/Linux \(none\) 6\.\d+\.\d+-\d+-cloud-amd64/);
  // seq 1 20000 | sha256sum, and pi rounded by printf, as any machine gives them.
  expect(stdout).toContain('f6351f5ead9a700e34275480b3856ea738122a7c57bdeb744a631251c069587a');
  expect(stdout).toContain('3.141593');
  expect(stdout).not.toMatch(/BUG:|WARNING:|Oops|Call Trace/);
});
