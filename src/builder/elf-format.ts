// The ELF64 constants and structure layouts that a kernel image uses.
// Sources: System V ABI "Object Files" (ELF header, sections, symbol table) and "Program Loading" (program header);
// x86-64 psABI for EM_X86_64. Left out: relocations, dynamic linking, version information.

export const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;

// e_ident
export const EI_CLASS = 4;
export const EI_DATA = 5;
export const EI_VERSION = 6;
export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;

// The ELF header: 64 bytes.
export const EHDR_BYTES = 64;
export const E_TYPE = 16;
export const E_MACHINE = 18;
export const E_VERSION = 20;
export const E_ENTRY = 24;
export const E_PHOFF = 32;
export const E_SHOFF = 40;
export const E_FLAGS = 48;
export const E_EHSIZE = 52;
export const E_PHENTSIZE = 54;
export const E_PHNUM = 56;
export const E_SHENTSIZE = 58;
export const E_SHNUM = 60;
export const E_SHSTRNDX = 62;

export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;
export const ET_CORE = 4;
export const EM_X86_64 = 62;
/** e_phnum's escape value: the real count stands in section header 0. */
export const PN_XNUM = 0xffff;

// A program header: 56 bytes.
export const PHDR_BYTES = 56;
export const P_TYPE = 0;
export const P_FLAGS = 4;
export const P_OFFSET = 8;
export const P_VADDR = 16;
export const P_PADDR = 24;
export const P_FILESZ = 32;
export const P_MEMSZ = 40;
export const P_ALIGN = 48;

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

// A section header: 64 bytes.
export const SHDR_BYTES = 64;
export const SH_NAME = 0;
export const SH_TYPE = 4;
export const SH_FLAGS = 8;
export const SH_ADDR = 16;
export const SH_OFFSET = 24;
export const SH_SIZE = 32;
export const SH_LINK = 40;
export const SH_INFO = 44;
export const SH_ADDRALIGN = 48;
export const SH_ENTSIZE = 56;

export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHF_WRITE = 1;
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;

/** A symbol table entry: 24 bytes. */
export const SYM_BYTES = 24;
export const ST_NAME = 0;
export const ST_INFO = 4;
export const ST_OTHER = 5;
export const ST_SHNDX = 6;
export const ST_VALUE = 8;
export const ST_SIZE = 16;

/** A note's header: name size, descriptor size and type, 4 bytes each; name and descriptor are padded to 4. */
export const NHDR_BYTES = 12;
