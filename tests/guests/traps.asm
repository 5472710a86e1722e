; #NM, #MF, #XM and #UD of the FPU (Intel SDM vol. 3 table 2-2, section 9.2; vol. 1 section 8.7), alignment checks (vol. 3
; qemu: TCG raises #MF by WAIT alone and does not check alignment
; section 6.15, vector 17), UMIP and other instructions that CR4 takes from ring 3 (2.5).
%include "common.inc"

CR0_MP equ 2
CR0_EM equ 4
CR0_TS equ 8
CR0_NE equ 0x20
CR0_AM equ 1 << 18
CR4_TSD equ 4
CR4_OSFXSR equ 1 << 9
CR4_OSXMMEXCPT equ 1 << 10
CR4_UMIP equ 1 << 11
AC equ 1 << 18

%macro CR0_BITS 2      ; on, off
    mov eax, cr0
    or eax, %1
    and eax, ~(%2)
    mov cr0, eax
%endmacro
%macro CR4_BITS 2
    mov eax, cr4
    or eax, %1
    and eax, ~(%2)
    mov cr4, eax
%endmacro

section .text
test_main:
    CR0_BITS CR0_NE, CR0_EM + CR0_TS + CR0_MP
    CR4_BITS CR4_OSFXSR + CR4_OSXMMEXCPT, 0
    fninit
    call not_available
    call fpu_errors
    call sse_errors
    call alignment
    call umip
    call v86
    ret

not_available:
    CR0_BITS CR0_TS, CR0_MP
    FAULTS 7, 0, 'x87 with TS', {fld1}
    FAULTS 7, 0, 'SSE with TS', {movaps xmm0, xmm1}
    FAULTS 7, 0, 'MMX with TS', {movq mm0, mm1}
    FAULTS 7, 0, 'FXSAVE with TS', {fxsave [area]}
    call wait_here                     ; WAIT with TS and without MP: no fault
    CR0_BITS CR0_MP, 0
    FAULTS 7, 0, 'WAIT with TS and MP', {wait}
    clts
    CR0_BITS CR0_EM, CR0_MP
    FAULTS 7, 0, 'x87 with EM', {fld1}
    FAULTS 6, 0, 'SSE with EM', {movaps xmm0, xmm1}
    FAULTS 6, 0, 'MMX with EM', {movq mm0, mm1}
    CR0_BITS 0, CR0_EM
    CR4_BITS 0, CR4_OSFXSR
    FAULTS 6, 0, 'SSE without OSFXSR', {movaps xmm0, xmm1}
    CR4_BITS CR4_OSFXSR, 0
    FAULTS 13, 0, 'MOVAPS of an unaligned address', {movaps xmm0, [area + 4]}
    FAULTS 13, 0, 'FXSAVE to an unaligned address', {fxsave [area + 4]}
    ret
wait_here:
    wait
    ret

; An unmasked x87 exception comes with the next waiting instruction, which has not run.
fpu_errors:
    fninit
    mov word [area], 0x037B            ; ZE unmasked
    fldcw [area]
    fld1
    fldz
    fdivp st1, st0                     ; no fault yet
    mov ecx, 5
    fnstsw ax
    and eax, 0x8084
    mov ebx, eax
    EXPECT_EQ ebx, 0x8084, 'B, ES and ZE'
    FAULTS 16, 0, 'x87 instruction after an error', {fld1}
    FAULTS 16, 0, 'WAIT after an error', {wait}
    fnstcw [area]                      ; does not wait
    fnclex
    call wait_here                     ; WAIT after FNCLEX: no fault
    fninit
    ret

sse_errors:
    mov dword [area], 0x1D80           ; ZM clear
    ldmxcsr [area]
    mov dword [area], 0x3F800000
    movss xmm0, [area]
    xorps xmm1, xmm1
    FAULTS 19, 0, 'SSE division by 0', {divss xmm0, xmm1}
    stmxcsr [area + 4]
    mov ecx, [area + 4]
    and ecx, 0x3F
    EXPECT_EQ ecx, 4, 'MXCSR.ZE'
    movss [area + 8], xmm0
    EXPECT_EQ [area + 8], 0x3F800000, 'destination of an SSE instruction that faulted'
    CR4_BITS 0, CR4_OSXMMEXCPT
    FAULTS 6, 0, 'SSE division by 0 without OSXMMEXCPT', {divss xmm0, xmm1}
    CR4_BITS CR4_OSXMMEXCPT, 0
    mov dword [area], 0x10000
    FAULTS 13, 0, 'reserved bit of MXCSR', {ldmxcsr [area]}
    mov dword [area], 0x1F80
    ldmxcsr [area]
    ret

; Ring 3 only, with CR0.AM and EFLAGS.AC.
alignment:
    CR0_BITS CR0_AM, 0
    call unaligned_with_ac                     ; unaligned read in ring 0 with AC: no fault
    RING3 user_unaligned, 17, 0, 'unaligned read in ring 3'
    EXPECT_EQ [caught_eip], user_unaligned.at, 'unaligned read in ring 3 (return address)'
    RING3 user_unaligned_word, 17, 0, 'unaligned write of a word'
    RING3 user_unaligned_push, 17, 0, 'push on an unaligned stack'
    RING3 user_aligned, USER_INT, 0, 'aligned accesses with AC'
    RING3 user_without_ac, USER_INT, 0, 'unaligned read without AC'
    CR0_BITS 0, CR0_AM
    RING3 user_unaligned, USER_INT, 0, 'unaligned read without CR0.AM'
    ret
unaligned_with_ac:
    pushfd
    or dword [esp], AC
    popfd
    mov eax, [area + 1]
    pushfd
    and dword [esp], ~AC
    popfd
    ret

umip:
    CR4_BITS CR4_UMIP, 0
    RING3 user_sgdt, 13, 0, 'SGDT in ring 3 under UMIP'
    RING3 user_sidt, 13, 0, 'SIDT in ring 3 under UMIP'
    RING3 user_sldt, 13, 0, 'SLDT in ring 3 under UMIP'
    RING3 user_str, 13, 0, 'STR in ring 3 under UMIP'
    RING3 user_smsw, 13, 0, 'SMSW in ring 3 under UMIP'
    call kernel_smsw                     ; SMSW in ring 0 under UMIP: no fault
    CR4_BITS 0, CR4_UMIP
    RING3 user_smsw, USER_INT, 0, 'SMSW in ring 3 without UMIP'
    RING3 user_rdtsc, USER_INT, 0, 'RDTSC in ring 3'
    CR4_BITS CR4_TSD, 0
    RING3 user_rdtsc, 13, 0, 'RDTSC in ring 3 with TSD'
    CR4_BITS 0, CR4_TSD
    ; Port rights: the TSS has no bitmap, IOPL is 0.
    RING3 user_out, 13, 0, 'OUT in ring 3'
    mov ecx, cr4
    or ecx, 1 << 31
    FAULTS 13, 0, 'reserved bit of CR4', {mov cr4, ecx}
    ret
kernel_smsw:
    smsw ax
    ret

; A virtual-8086 task: real-mode code in ring 3 (vol. 3 chapter 21). Without IOPL 3 what touches IF faults.
V86_CS equ 0x800       ; 0x8000
VM equ 1 << 17
v86:
    mov esi, v86_code
    mov edi, 0x8000
    mov ecx, v86_end - v86_code
    rep movsb
    mov ecx, 7
.each:
    mov [v86_left], ecx
    mov ebx, [.entries + ecx * 4 - 4]
    CATCH .caught
    push dword 0x1111                  ; GS, FS, DS, ES
    push dword 0x2222
    push dword 0x0900
    push dword 0x4444
    push dword 0
    push dword 0x7000                  ; SS:SP
    mov eax, VM + 2
    cmp dword [v86_left], 5
    jne .flags
    or eax, 0x3000                     ; IOPL 3
.flags:
    push eax
    push dword V86_CS
    push ebx
    iretd
.caught:
    mov ecx, [v86_left]
    mov ebx, [.vectors + ecx * 4 - 4]
    EXPECT_EQ [caught], ebx, 'exception in virtual-8086 mode'
    EXPECT_EQ [caught_cs], V86_CS, 'CS of virtual-8086 mode'
    mov ebx, [caught_eflags]
    and ebx, VM
    EXPECT_EQ ebx, VM, 'VM in the frame'
    mov ecx, [v86_left]
    dec ecx
    jnz .each
    EXPECT_EQ [0x9000], 0x00010086, 'segments of virtual-8086 mode'
    ; The frame holds the data segments, and the handler had them null.
    EXPECT_EQ [inner_stack_top - 4], 0x1111, 'GS in the frame'
    EXPECT_EQ [inner_stack_top - 16], 0x4444, 'ES in the frame'
    EXPECT_EQ [inner_stack_top - 20], 0, 'SS in the frame'
    ret
.entries: dd v86_store - v86_code, v86_cli - v86_code, v86_pushf - v86_code, v86_int - v86_code
    dd v86_int - v86_code, v86_hlt - v86_code, v86_lar - v86_code
.vectors: dd 6, 13, 13, 13, USER_INT, 13, 6

bits 16
v86_code:
v86_store:
    mov word [0], 0x0086               ; DS is 0x900
    mov word [2], 1
    ud2
v86_cli:
    cli
v86_pushf:
    pushf
v86_int:
    int USER_INT
v86_hlt:
    hlt
v86_lar:
    lar ax, bx
v86_end:
bits 32

user_unaligned:
    pushfd
    or dword [esp], AC
    popfd
.at:
    mov eax, [area + 1]
    int USER_INT
user_unaligned_word:
    pushfd
    or dword [esp], AC
    popfd
    mov [area + 1], ax
user_unaligned_push:
    pushfd
    or dword [esp], AC
    popfd
    sub esp, 2
    push eax
user_aligned:
    pushfd
    or dword [esp], AC
    popfd
    mov eax, [area]
    mov ax, [area + 2]
    mov al, [area + 3]
    push eax
    int USER_INT
user_without_ac:
    pushfd
    and dword [esp], ~AC
    popfd
    mov eax, [area + 1]
    int USER_INT
user_sgdt:
    sgdt [area]
user_sidt:
    sidt [area]
user_sldt:
    sldt ax
user_str:
    str ax
user_smsw:
    smsw ax
    int USER_INT
user_rdtsc:
    rdtsc
    int USER_INT
user_out:
    out 0x80, al

section .bss
alignb 64
area: resb 512
v86_left: resd 1
