; SYSCALL, SYSRET, SYSENTER, SYSEXIT: Intel SDM vol. 2 under their names, vol. 3 section 5.8.7; SWAPGS; and SYSENTER in
; qemu: TCG loses the arithmetic flags in SYSCALL
; 32-bit mode before that.
%include "common.inc"
%include "long.inc"

STAR equ 0xC0000081
LSTAR equ 0xC0000082
CSTAR equ 0xC0000083
SFMASK equ 0xC0000084
FS_BASE equ 0xC0000100
GS_BASE equ 0xC0000101
KERNEL_GS_BASE equ 0xC0000102
SYSENTER_CS equ 0x174
SYSENTER_ESP equ 0x175
SYSENTER_EIP equ 0x176
FLAT_SEL equ 0x30              ; SYSENTER's four flat segments: 30 code 0, 38 data 0, 40 code 3, 48 data 3

%macro SET_MSR 2
    mov ecx, %1
    mov eax, %2
    xor edx, edx
    wrmsr
%endmacro

section .text
bits 32
test_main:
    pop eax                    ; not going back
    call sysenter32
    call enter_long
bits 64
    call open_to_ring3
    SET_MSR LSTAR, syscall_entry
    SET_MSR CSTAR, syscall_entry
    SET_MSR SFMASK, 0x40100    ; clears TF and AC
    mov ecx, STAR
    xor eax, eax
    mov edx, KERNEL_CS64 + ((USER_CS32 | 3) << 16)
    wrmsr
    call syscall64
    call syscall_compatibility
    call without_sce
    call sysenter64
    call bases
    PASS64

; Ring 3 may use all pages from here.
open_to_ring3:
    or dword [pml4], 4
    or dword [pdpt], 4
    xor ecx, ecx
.page:
    or dword [page_directory + rcx * 8], 4
    inc ecx
    cmp ecx, 512
    jb .page
    mov rax, cr3
    mov cr3, rax
    ret

; --- SYSENTER in 32-bit mode -----------------------------------------------------------------------------------------
bits 32
sysenter32:
    DESCRIPTOR FLAT_SEL, 0, 0xFFFF, 0x9B, 0xCF
    DESCRIPTOR FLAT_SEL + 8, 0, 0xFFFF, 0x93, 0xCF
    DESCRIPTOR FLAT_SEL + 16, 0, 0xFFFF, 0xFB, 0xCF
    DESCRIPTOR FLAT_SEL + 24, 0, 0xFFFF, 0xF3, 0xCF
    SET_MSR SYSENTER_CS, 0
    RING3 .user, 13, 0, 'SYSENTER without a code segment'
    SET_MSR SYSENTER_CS, FLAT_SEL
    SET_MSR SYSENTER_ESP, inner_stack_top
    SET_MSR SYSENTER_EIP, .kernel
    CATCH .back
    sti
    mov eax, .user
    jmp to_ring3
.user:
    sysenter
.back:
    EXPECT_EQ [caught], USER_INT, 'way back from SYSENTER'
    EXPECT_EQ [caught_cs], FLAT_SEL + 16 + 3, 'CS after SYSEXIT'
    EXPECT_EQ [caught_eip], .after_exit + 2, 'EIP after SYSEXIT'
    EXPECT_EQ [caught_esp], ring3_stack_top - 64, 'ESP after SYSEXIT'
    mov eax, [entry_flags]
    and eax, 0x200
    EXPECT_EQ eax, 0, 'IF after SYSENTER'
    EXPECT_EQ [entry_cs], FLAT_SEL, 'CS after SYSENTER'
    EXPECT_EQ [entry_ss], FLAT_SEL + 8, 'SS after SYSENTER'
    EXPECT_EQ [entry_sp], inner_stack_top, 'ESP after SYSENTER'
    RING3 .after_exit - 2, 13, 0, 'SYSEXIT in ring 3'
    cli
    ret
.kernel:
    mov [entry_sp], esp
    pushfd
    pop dword [entry_flags]
    xor eax, eax
    mov ax, cs
    mov [entry_cs], eax
    mov ax, ss
    mov [entry_ss], eax
    mov edx, .after_exit
    mov ecx, ring3_stack_top - 64
    sysexit
.after_exit:
    int USER_INT

; --- 64-bit mode -----------------------------------------------------------------------------------------------------
bits 64
syscall64:
    mov ax, KERNEL_DS
    mov ss, ax
    CATCH .back
    mov eax, .user
    jmp to_ring3_64
.user:
    push 0x408D7               ; CF, ZF, SF and AC among them, all but TF and IF
    popfq
    syscall
.returned:
    int USER_INT
.back:
    EXPECT_EQ [caught], USER_INT, 'way back from SYSCALL'
    EXPECT_EQ [caught_eip], .returned + 2, 'RIP after SYSRET'
    EXPECT_EQ [caught_cs], USER_CS64, 'CS after SYSRET'
    EXPECT_EQ [caught_ss], USER_DS64, 'SS after SYSRET'
    EXPECT_EQ [caught_eflags], 0x408D7, 'flags after SYSRET'
    EXPECT_EQ [entry_cs], KERNEL_CS64, 'CS after SYSCALL'
    EXPECT_EQ [entry_ss], KERNEL_DS64, 'SS after SYSCALL'
    EXPECT_EQ [entry_sp], ring3_stack_top, 'SYSCALL leaves RSP'
    EXPECT_EQ [entry_cx], .returned, 'RCX after SYSCALL'
    EXPECT_EQ [entry_r11], 0x408D7, 'R11 after SYSCALL'
    EXPECT_EQ [entry_flags], 0x008D7, 'flags after SYSCALL: SFMASK'
    ret

syscall_entry:
    mov [entry_sp], rsp
    mov rsp, inner_stack_top
    pushfq
    pop qword [entry_flags]
    mov [entry_cx], rcx
    mov [entry_r11], r11
    xor eax, eax
    mov ax, cs
    mov [entry_cs], eax
    mov ax, ss
    mov [entry_ss], eax
    mov rsp, [entry_sp]
    cmp dword [compatibility], 0
    jne .to_compatibility
    o64 sysret
.to_compatibility:
    sysret

; From compatibility mode SYSCALL is AMD's alone: Intel has #UD. Either is right; what comes back must be.
syscall_compatibility:
    mov dword [compatibility], 1
    CATCH .back
    push USER_DS64
    push ring3_stack_top
    push 2
    push USER_CS32
    push .user
    iretq
bits 32
.user:
    syscall
.returned:
    int USER_INT
bits 64
.back:
    cmp dword [caught], 6
    je .intel
    EXPECT_EQ [caught], USER_INT, 'way back from SYSCALL in compatibility mode'
    EXPECT_EQ [caught_cs], USER_CS32, 'CS after SYSRET to compatibility mode'
    EXPECT_EQ [caught_eip], .returned + 2, 'EIP after SYSRET to compatibility mode'
    EXPECT_EQ [entry_cs], KERNEL_CS64, 'CS after SYSCALL from compatibility mode'
    ret
.intel:
    EXPECT_EQ [caught_cs], USER_CS32, 'CS of #UD in compatibility mode'
    ret

without_sce:
    mov ecx, EFER
    rdmsr
    and eax, ~EFER_SCE
    wrmsr
    RING3 user_syscall, 6, 0, 'SYSCALL without EFER.SCE'
    mov ecx, EFER
    rdmsr
    or eax, EFER_SCE
    wrmsr
    RING3 user_sysret, 13, 0, 'SYSRET in ring 3'
    RING3 user_swapgs, 13, 0, 'SWAPGS in ring 3'
    RING3 user_wrmsr, 13, 0, 'WRMSR in ring 3'
    RING3 user_mov_cr3, 13, 0, 'MOV to CR3 in ring 3'
    RING3 user_hlt, 13, 0, 'HLT in ring 3'
    RING3 user_in, 13, 0, 'IN in ring 3'
    ret

; AMD has no SYSENTER in long mode (#UD), Intel has.
sysenter64:
    SET_MSR SYSENTER_CS, KERNEL_CS64
    SET_MSR SYSENTER_ESP, inner_stack_top
    SET_MSR SYSENTER_EIP, .kernel
    CATCH .back
    mov eax, .user
    jmp to_ring3_64
.user:
    sysenter
.kernel:
    mov [entry_sp], rsp
    xor eax, eax
    mov ax, cs
    mov [entry_cs], eax
    int USER_INT
.back:
    cmp dword [caught], 6
    je .amd
    EXPECT_EQ [entry_sp], inner_stack_top, 'RSP after SYSENTER in 64-bit mode'
    EXPECT_EQ [entry_cs], KERNEL_CS64, 'CS after SYSENTER in 64-bit mode'
.amd:
    ret

; FS and GS bases: 64 bits by MSR, exchanged by SWAPGS; those that are not canonical are refused.
bases:
    mov rax, 0x11223344
    mov [bases_area], rax
    mov rax, 0x55667788
    mov [bases_area + 8], rax
    SET_MSR GS_BASE, bases_area
    SET_MSR KERNEL_GS_BASE, bases_area + 8
    EXPECT_EQ [gs:0], 0x11223344, 'data by GS'
    swapgs
    EXPECT_EQ [gs:0], 0x55667788, 'data by GS after SWAPGS'
    mov ecx, KERNEL_GS_BASE
    rdmsr
    mov ebx, eax
    EXPECT_EQ ebx, bases_area, 'KERNEL_GS_BASE after SWAPGS'
    mov ecx, FS_BASE
    mov edx, 0x00008000
    xor eax, eax
    FAULTS 13, 0, 'a non-canonical FS base', {wrmsr}
    mov ecx, LSTAR
    mov edx, 0x00008000
    FAULTS 13, 0, 'a non-canonical LSTAR', {wrmsr}
    ; A selector loaded into FS sets the base from its descriptor.
    SET_MSR FS_BASE, bases_area
    mov ax, KERNEL_DS
    mov fs, ax
    mov ecx, FS_BASE
    rdmsr
    mov ebx, eax
    EXPECT_EQ ebx, 0, 'FS base after a selector was loaded'
    ret

user_syscall:
    syscall
user_sysret:
    o64 sysret
user_swapgs:
    swapgs
user_wrmsr:
    wrmsr
user_mov_cr3:
    mov cr3, rax
user_hlt:
    hlt
user_in:
    in al, 0x80

section .bss
entry_sp: resq 1
entry_flags: resq 1
entry_cx: resq 1
entry_r11: resq 1
entry_cs: resq 1
entry_ss: resq 1
compatibility: resd 1
alignb 8
bases_area: resq 2
