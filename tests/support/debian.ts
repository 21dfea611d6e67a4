// Real input: files out of Debian's packages, downloaded once into a cache outside the source tree and never committed.
// Where they cannot be had (no apt, no network) a test skips and says why; under CI it fails instead.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(process.env['PARAVANE_CACHE'] ?? join(homedir(), '.cache', 'paravane'), 'debian');

export type DebianFile = { readonly bytes: Uint8Array; readonly path: string } | { readonly missing: string };

/** A file of a Debian package, or why it cannot be had. Throws under CI (the variable CI is set) rather than miss it. */
export function debianFile(packageName: string, pathInPackage: string): DebianFile {
  try {
    const path = join(unpacked(packageName), pathInPackage);
    return { bytes: new Uint8Array(readFileSync(path)), path };
  } catch (error) {
    const missing = `Debian's ${packageName} cannot be had: ${firstLine(error)}`;
    if (process.env['CI']) throw new Error(missing, { cause: error });
    return { missing };
  }
}

/** The package that a metapackage such as linux-image-amd64 stands for today, or why that cannot be known. As debianFile. */
export function debianDependency(metapackage: string): { readonly name: string } | { readonly missing: string } {
  const ask = (): string | undefined =>
    /Depends: ([\w.+-]+)/.exec(
      execFileSync('apt-cache', ['depends', metapackage], { encoding: 'utf8', stdio: 'pipe' }),
    )?.[1];
  try {
    let name = ask();
    if (!name) {
      execFileSync('apt-get', ['update'], { stdio: 'pipe' });
      name = ask();
    }
    if (!name) throw new Error('apt-cache names no dependency');
    return { name };
  } catch (error) {
    const missing = `Debian's ${metapackage} cannot be resolved: ${firstLine(error)}`;
    if (process.env['CI']) throw new Error(missing, { cause: error });
    return { missing };
  }
}

/** The folder with the package's files. Safe when two test processes want the same package at once. */
function unpacked(packageName: string): string {
  const folder = join(CACHE, packageName);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, '.fetch-'));
  try {
    download(packageName, scratch);
    const archive = readdirSync(scratch).find((name) => name.endsWith('.deb'));
    if (!archive) throw new Error('apt-get download left no .deb file');
    execFileSync('dpkg-deb', ['-x', archive, 'files'], { cwd: scratch, stdio: 'pipe' });
    if (!existsSync(folder)) renameSync(join(scratch, 'files'), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}

/** A machine whose package lists are absent or old gets one `apt-get update` before it gives up. */
function download(packageName: string, folder: string): void {
  const apt = (...words: string[]): void => void execFileSync('apt-get', words, { cwd: folder, stdio: 'pipe' });
  try {
    apt('download', packageName);
  } catch {
    apt('update');
    apt('download', packageName);
  }
}

const firstLine = (error: unknown): string => {
  const stderr = (error as { stderr?: Buffer }).stderr?.toString().trim();
  return (stderr || String(error)).split('\n')[0] as string;
};
