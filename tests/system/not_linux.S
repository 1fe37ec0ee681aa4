# A 64-bit kernel that is no Linux: enters long mode, runs in the upper half, spins. Multiboot, for QEMU's -kernel.
    .code32
    .section .text
    .align 4
    .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)      # magic, address fields given, checksum
    .long header, load_start, 0, 0, start                          # header, load, load end, bss end, entry
    .set header, 0x100000
    .set load_start, 0x100000
    .globl start
start:
    movl $0x200000, %edi                 # page tables at 2 MiB: zero 4 pages
    xorl %eax, %eax
    movl $4096, %ecx
    rep stosl
    movl $0x201003, 0x200000             # PML4[0]   -> PDPT
    movl $0x201003, 0x200ff8             # PML4[511] -> the same PDPT
    movl $0x202003, 0x201000             # PDPT[0]   -> PD
    movl $0x202003, 0x201ff0             # PDPT[510] -> PD: 0xffffffff80000000
    movl $0x000083, 0x202000             # PD[0]: 2 MiB page at 0
    movl $0x000083 + 0x200000, 0x202008  # PD[1]
    movl $0x200000, %eax
    movl %eax, %cr3
    movl $0x20, %eax                     # CR4.PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx               # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax                # paging, protection
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $upper
    .code64
upper:
    movabsq $0xffffffff80000000 + spin, %rax
    jmp *%rax
spin:
    lidt idt_pointer(%rip)
1:  pause
    jmp 1b
    .align 8
gdt:
    .quad 0, 0x00209a0000000000
gdt_pointer:
    .word 15
    .long gdt
    .align 8
idt:                                     # one gate, to `spin` in the upper half
    .word 0, 8, 0x8e00, 0x8010
    .long 0xffffffff, 0
idt_pointer:
    .word 15
    .quad 0xffffffff80000000 + idt
