// An initial ramdisk in the form that Linux unpacks: a cpio archive, "newc".
// Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.

export interface RamdiskFile {
  readonly name: string;
  /** A regular file's content; a folder has none. */
  readonly bytes?: Uint8Array;
  /** Permissions, such as 0o755. */
  readonly mode: number;
}

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;

/** The archive's bytes. Folders come before what is in them. */
export function initramfs(files: readonly RamdiskFile[]): Uint8Array {
  const entries = [...files, { name: 'TRAILER!!!', mode: 0 }];
  return Buffer.concat(entries.map((file, index) => entry(file, index + 1)));
}

function entry({ name, bytes, mode }: RamdiskFile, inode: number): Buffer {
  const type = name === 'TRAILER!!!' ? 0 : bytes ? S_IFREG : S_IFDIR;
  const size = bytes?.length ?? 0;
  const fields = [inode, type | mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.from(`${header}${name}\0`, 'latin1')), padded(Buffer.from(bytes ?? []))]);
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
