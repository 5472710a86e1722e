/*
 * A guest that does a known amount of work of several kinds, to measure what an engine executes in a second.
 *
 * It is started as a PVH guest (Xen's boot/x86/hvm start info ABI: 32-bit protected mode, no paging, %ebx = start
 * info), goes to 64-bit mode over identity-mapped 2 MB pages, and runs each workload between two lines on COM1:
 *     begin NAME
 *     end NAME COUNT
 * COUNT is the number of instructions that the loop executed (of bytes moved, for "copy"). The host takes the time
 * between the lines, so that the guest's clock has no part in it. The kernel command line is one decimal digit that
 * multiplies the work (default 1). It ends through the exit port 0xF4 with value 0x10: status 0x21.
 */

#define COM1      0x3F8
#define EXIT_PORT 0xF4

#define PTE_PRESENT_WRITE 0x003
#define PDE_LARGE         0x083

#define START_INFO_CMDLINE 0x18 /* offset of cmdline_paddr in struct hvm_start_info */

    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18              /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .section .bss
    .align 4096
pml4:       .skip 4096
pdpt:       .skip 4096
page_dir:   .skip 4096
buffer:     .skip 1 << 20
source:     .skip 1 << 16
target:     .skip 1 << 16
            .skip 4096
stack_top:
scale:      .skip 8

    .section .rodata
    .align 8
gdt:
    .quad 0
    .quad 0x00AF9A000000FFFF    /* 0x08: 64-bit code */
    .quad 0x00CF92000000FFFF    /* 0x10: data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .text
    .code32
    .globl start32
start32:
    cld
    movl $stack_top, %esp

    /* One page directory of 2 MB pages maps the first gigabyte onto itself. */
    movl $pdpt + PTE_PRESENT_WRITE, pml4
    movl $page_dir + PTE_PRESENT_WRITE, pdpt
    movl $page_dir, %edi
    movl $PDE_LARGE, %eax
1:  movl %eax, (%edi)
    addl $1 << 21, %eax
    addl $8, %edi
    cmpl $page_dir + 4096, %edi
    jb 1b

    /* The multiplier, where there is one: a NUL-terminated string, or no string at all. */
    movl $1, scale
    movl START_INFO_CMDLINE(%ebx), %esi
    testl %esi, %esi
    jz 2f
    movzbl (%esi), %eax
    subl $'0', %eax
    decl %eax
    cmpl $9, %eax
    jae 2f
    incl %eax
    movl %eax, scale
2:
    movl %cr4, %eax
    orl $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx      /* EFER */
    rdmsr
    orl $0x100, %eax            /* LME */
    wrmsr
    movl %cr0, %eax
    andl $~4, %eax              /* EM off */
    orl $0x80000003, %eax       /* PG, MP, PE */
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss

/*
 * WORKLOAD name, iterations, count per iteration: the loop is the code that follows up to END_WORKLOAD, which counts
 * %r15 down. The few instructions around it are not counted.
 */
    .macro WORKLOAD name iterations each
    .pushsection .rodata
begin_\name: .asciz "begin \name\n"
end_\name:   .asciz "end \name "
    .popsection
    .set each, \each
    leaq begin_\name(%rip), %rsi
    call print
    movq $\iterations, %r15
    imulq scale(%rip), %r15
    movq %r15, %r14
    xorl %eax, %eax
    xorl %ecx, %ecx
    movl $0x12345678, %edx
    leaq buffer(%rip), %rbx
    .balign 64
loop_\name:
    .endm

    .macro END_WORKLOAD name
    decq %r15
    jnz loop_\name
    leaq end_\name(%rip), %rsi
    call print
    imulq $each, %r14, %rax
    call print_number
    .endm

    /* Arithmetic on registers, with flags that are used and flags that are not. */
    WORKLOAD alu, 4000000, 18
    addq %rdx, %rax
    xorq %rax, %rcx
    rolq $7, %rax
    subq %rcx, %rdx
    leaq 5(%rax,%rcx,2), %r8
    andq $0x7FFFFFFF, %r8
    imulq $33, %r8, %r9
    addq %r9, %rax
    adcq $0, %rcx
    shrq $3, %r9
    orq %r9, %rdx
    movq %rdx, %r10
    negq %r10
    cmpq %r10, %rax
    setb %r11b
    movzbl %r11b, %r11d
    END_WORKLOAD alu                /* 16 and the two of the loop */

    /* Loads, stores and read-modify-writes, over 1 MB. */
    WORKLOAD memory, 5000000, 12
    movq (%rbx,%rcx), %rax
    addq $1, %rax
    movq %rax, 8(%rbx,%rcx)
    addl %edx, 16(%rbx,%rcx)
    movl 24(%rbx,%rcx), %r8d
    movb %r8b, 32(%rbx,%rcx)
    pushq %rax
    popq %r9
    addq $4096 + 64, %rcx
    andq $0xFFF80, %rcx
    END_WORKLOAD memory             /* 10 and 2 */

    /* Branches that follow a pseudo-random number: %edx = %edx * 1664525 + 1013904223. Each path has the same length. */
    WORKLOAD branch, 4000000, 13
    imull $1664525, %edx, %edx
    addl $1013904223, %edx
    testl $0x10000, %edx
    jz 1f
    incq %rax
    jmp 2f
1:  decq %rax
    nop
2:  testl $0x40000000, %edx
    jnz 3f
    incq %rcx
    jmp 4f
3:  decq %rcx
    nop
4:  nop
    END_WORKLOAD branch             /* 2, twice (test, branch, step, jump or nop), nop, and 2: 13 on every path */

    /* Calls and returns, direct and through a register. */
    WORKLOAD call, 4000000, 10
    leaq callee(%rip), %r8
    call callee
    call *%r8
    call callee
    nop
    END_WORKLOAD call               /* lea, 3 calls, 3 returns, nop, and 2 */

    /* Vectors: integers and floating point, four singles at a time. */
    WORKLOAD vector, 3000000, 10
    movdqu (%rbx), %xmm0
    paddd %xmm0, %xmm1
    pxor %xmm1, %xmm2
    pshufd $0x1B, %xmm1, %xmm3
    cvtdq2ps %xmm3, %xmm4
    mulps %xmm4, %xmm4
    addps %xmm4, %xmm5
    movups %xmm5, 16(%rbx)
    END_WORKLOAD vector             /* 8 and 2 */

    /* Exceptions' cheapest relative: instructions that leave the fast path. Reads of the serial port's scratch register. */
    WORKLOAD port, 1000000, 4
    movl $COM1 + 7, %edx
    inb %dx, %al
    END_WORKLOAD port               /* 2 and 2 */

    /* rep movsb and movsq: bytes moved, not instructions. */
    WORKLOAD copy, 4000, 131072
    leaq source(%rip), %rsi
    leaq target(%rip), %rdi
    movl $65536, %ecx
    rep movsb
    leaq source(%rip), %rsi
    leaq target(%rip), %rdi
    movl $8192, %ecx
    rep movsq
    END_WORKLOAD copy

    leaq done(%rip), %rsi
    call print
    movl $0x10, %eax
    outb %al, $EXIT_PORT
1:  hlt                         /* without an exit port the host ends it */
    jmp 1b

callee:
    ret

/* Prints the string at %rsi. */
print:
    lodsb
    testb %al, %al
    jz 1f
    call put
    jmp print
1:  ret

/* Prints %al, when the port can take it. */
put:
    movb %al, %ah
    movl $COM1 + 5, %edx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %ah, %al
    movl $COM1, %edx
    outb %al, %dx
    ret

/* Prints %rax as a decimal number, and a line feed. */
print_number:
    movl $10, %ebx
    xorl %ecx, %ecx
1:  xorl %edx, %edx
    divq %rbx
    addl $'0', %edx
    pushq %rdx
    incl %ecx
    testq %rax, %rax
    jnz 1b
2:  popq %rax
    call put
    decl %ecx
    jnz 2b
    movb $'\n', %al
    call put
    ret

    .section .rodata
done: .asciz "done\n"
