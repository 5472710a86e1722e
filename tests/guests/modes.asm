; From mode to mode: protected, 16-bit protected, real-address (Intel SDM vol. 3 sections 10.9 and 21.1), 64-bit and
; qemu: TCG checks the limits of neither code nor real-mode segments
; compatibility mode (10.8.5), and all the way back.
%include "common.inc"
%include "long.inc"

CODE16 equ 0x30        ; 16-bit code at LOW_BASE
DATA16 equ 0x38        ; 16-bit data: 64 KiB at 0
SMALL_CODE equ 0x40    ; 16-bit code at LOW_BASE that ends before `beyond`
LOW_BASE equ 0x8000

%define LOW(x) ((x) - start_of_low)

; --- 16-bit code, at 0x8000 ------------------------------------------------------------------------------------------
section .low
bits 16
start_of_low:
; Called by 32-bit code: goes to real mode, tests, and comes back.
protected16:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    ; The stack has 16 bits: SP wraps, the upper half of ESP stays.
    mov esp, 0xABCD0000
    push ax
    mov eax, esp
    mov [LOW_BASE + LOW(wrapped_esp)], eax
    mov sp, 0x7000
    movzx esp, sp
    mov eax, cr0
    and eax, ~1
    mov cr0, eax
    jmp (LOW_BASE >> 4):LOW(real)
real:
    mov ax, cs
    mov ds, ax
    mov ss, ax
    mov [LOW(real_cs)], ax
    xor ax, ax
    mov es, ax
    o32 lidt [LOW(real_idt)]
    ; INT by the table at 0: three words, IF and TF clear, back by IRET.
    mov word [es:0x60 * 4], LOW(real_handler)
    mov word [es:0x60 * 4 + 2], LOW_BASE >> 4
    mov sp, 0x6000
    sti
    stc
    int 0x60
.after:
    setc [LOW(carry)]
    cli
    mov [LOW(real_sp)], sp
    ; Exceptions have no error code: #GP by a word across the end of a segment, #DE, #UD.
    mov word [es:13 * 4], LOW(real_fault)
    mov word [es:13 * 4 + 2], LOW_BASE >> 4
    mov word [es:0], LOW(real_fault)
    mov word [es:2], LOW_BASE >> 4
    mov word [es:6 * 4], LOW(real_fault)
    mov word [es:6 * 4 + 2], LOW_BASE >> 4
    mov word [LOW(resume)], LOW(.limit)
    mov bx, 0xFFFF
    mov ax, [bx]
.limit:
    mov word [LOW(resume)], LOW(.divide)
    xor cx, cx
    div cx
.divide:
    mov word [LOW(resume)], LOW(.opcode)
    sldt ax                            ; not known in real mode
.opcode:
    ; Segments are numbers: base is 16 times the selector, beyond 1 MiB too.
    mov ax, 0xFFFF
    mov fs, ax
    mov eax, [fs:0x10]                 ; 0x100000
    mov [LOW(at_megabyte)], eax
    ; Limits stay 64 KiB, but those loaded in protected mode stay as they were ("unreal" mode).
    o32 lgdt [LOW(gdt_pointer_low)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, KERNEL_DS
    mov gs, bx
    and al, ~1
    mov cr0, eax
    mov edx, marker
    mov eax, [gs:edx]
    mov [LOW(unreal_value)], eax
    ; Back.
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword KERNEL_CS:back_from_real

real_handler:
    push bp
    mov bp, sp
    mov ax, [bp + 2]
    mov [LOW(real_ip)], ax
    mov ax, [bp + 6]
    mov [LOW(real_flags)], ax
    pushf
    pop ax
    mov [LOW(flags_inside)], ax
    pop bp
    iret
real_fault:
    inc word [LOW(real_faults)]
    add sp, 6
    jmp [LOW(resume)]

; The end of SMALL_CODE's limit is behind the NOP: the next fetch is #GP(0).
limited:
    nop
limited_end:
    nop
    jmp dword KERNEL_CS:not_limited

real_idt:
    dw 0x3FF
    dd 0
gdt_pointer_low:
    dw gdt_end - gdt - 1
    dd gdt
real_cs: dw 0
real_ip: dw 0
real_sp: dw 0
real_flags: dw 0
flags_inside: dw 0
real_faults: dw 0
resume: dw 0
carry: dw 0
wrapped_esp: dd 0
at_megabyte: dd 0
unreal_value: dd 0

section .text
bits 32
extern low_start, low_end, low_image
test_main:
    mov esi, low_image
    mov edi, low_start
    mov ecx, low_end
    sub ecx, low_start
    rep movsb
    DESCRIPTOR CODE16, LOW_BASE, 0xFFFF, 0x9A, 0
    DESCRIPTOR DATA16, 0, 0xFFFF, 0x92, 0
    mov ebx, limited_end - 1
    sub ebx, low_start
    mov [small_limit], ebx
    DESCRIPTOR SMALL_CODE, LOW_BASE, [small_limit], 0x9A, 0
    call code_limit
    call real_mode
    call long_and_back
    ret

; The same bytes by two code segments: the shorter one ends inside.
code_limit:
    mov dword [target], limited
    sub dword [target], low_start
    mov word [target + 4], CODE16
    jmp far [target]
not_limited:
    mov word [target + 4], SMALL_CODE
    CATCH .caught
    jmp far [target]
.caught:
    EXPECT_EQ [caught], 13, 'fetch beyond the code segment'
    EXPECT_EQ [caught_error], 0, 'fetch beyond the code segment (error code)'
    mov ecx, [small_limit]
    inc ecx
    EXPECT_EQ [caught_eip], ecx, 'fetch beyond the code segment (return address)'
    EXPECT_EQ [caught_cs], SMALL_CODE, 'fetch beyond the code segment (CS)'
    mov dword [target], 0x9000
    FAULTS 13, 0, 'jump beyond the code segment', {jmp far [target]}
    ret

real_mode:
    mov [saved_esp], esp
    mov dword [target], protected16
    sub dword [target], low_start
    mov word [target + 4], CODE16
    jmp far [target]
back_from_real:
    mov ax, KERNEL_DS
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov esp, [saved_esp]
    lidt [idt_pointer]
    lgdt [gdt_pointer]
    EXPECT_EQ [wrapped_esp], 0xABCDFFFE, 'a 16-bit stack wraps'
    movzx ecx, word [real_cs]
    EXPECT_EQ ecx, LOW_BASE >> 4, 'CS in real mode'
    movzx ecx, word [real_ip]
    mov ebx, real.after
    sub ebx, low_start
    EXPECT_EQ ecx, ebx, 'IP in the frame of a real-mode INT'
    movzx ecx, word [real_sp]
    EXPECT_EQ ecx, 0x6000, 'SP after a real-mode IRET'
    movzx ecx, word [real_flags]
    and ecx, 0x201
    EXPECT_EQ ecx, 0x201, 'flags in the frame of a real-mode INT'
    movzx ecx, word [flags_inside]
    and ecx, 0x200
    EXPECT_EQ ecx, 0, 'IF in a real-mode handler'
    movzx ecx, byte [carry]
    EXPECT_EQ ecx, 1, 'CF after a real-mode IRET'
    movzx ecx, word [real_faults]
    EXPECT_EQ ecx, 3, 'exceptions in real mode'
    EXPECT_EQ [at_megabyte], [0x100000], 'segment FFFF in real mode'
    EXPECT_EQ [unreal_value], 0x30D35, 'a limit of protected mode in real mode'
    ret

; 64-bit code, compatibility mode, and out of long mode again. The lower 32 bits of registers survive.
long_and_back:
    mov [saved_esp], esp
    mov ebp, 0x5EED0001
    call enter_long
bits 64
    mov ecx, ebp
    EXPECT_EQ ecx, 0x5EED0001, 'EBP on the way into long mode'
    mov ecx, EFER
    rdmsr
    and eax, 1 << 10
    mov ecx, eax
    EXPECT_EQ ecx, 1 << 10, 'EFER.LMA'
    mov r15, 0x1122334455667788
    mov rbp, 0x99AABBCC5EED0002
    ; Interrupts push SS:RSP on an aligned stack in the same ring too.
    mov rbx, rsp
    sub rsp, 5
    mov rcx, rsp
    FAULTS 6, 0, 'UD2 in 64-bit mode', {ud2}
    mov rsp, rbx
    EXPECT_EQ64 [caught_esp], rcx, 'RSP in a 64-bit frame'
    mov rdx, [handler_rsp]
    and edx, 15
    mov ecx, edx
    EXPECT_EQ ecx, 8, 'alignment of a 64-bit frame'
    ; IST.
    mov byte [idt64 + 6 * 16 + 4], 1
    FAULTS 6, 0, 'UD2 with an IST', {ud2}
    EXPECT_EQ64 [handler_rsp], ist_stack_top - 40, 'the stack of an IST'
    mov byte [idt64 + 6 * 16 + 4], 0
    ; INT from ring 3 lands on RSP0; ring 0 has a null SS there.
    RING3 user_code64, 14, 4 + 1 + 16, 'user fetch from a supervisor page'
    EXPECT_EQ64 [handler_rsp], inner_stack_top - 40, 'RSP0'
    EXPECT_EQ [caught_ss], USER_DS64, 'SS of ring 3 in a 64-bit frame'
    EXPECT_EQ [caught_esp], ring3_stack_top, 'RSP of ring 3 in a 64-bit frame'
    ; What 64-bit mode does not know.
    FAULTS 6, 0, 'PUSH ES in 64-bit mode', {db 0x06}
    FAULTS 6, 0, 'INTO in 64-bit mode', {db 0xCE}
    FAULTS 6, 0, 'direct far JMP in 64-bit mode', {db 0xEA, 0, 0, 0, 0, 8, 0}
    ; A 16-bit gate or a code segment without L in the IDT.
    GATE64 0x2A, stub64_3, 0x86
    FAULTS 13, 0x2A * 8 + 2, '16-bit gate in long mode', {int 0x2A}
    GATE64 0x2A, stub64_3, 0x8E
    mov word [idt64 + 0x2A * 16 + 2], KERNEL_CS
    FAULTS 13, KERNEL_CS, 'gate to 32-bit code in long mode', {int 0x2A}
    ; A code segment with both L and D.
    mov dword [gdt + SMALL_CODE + 4], 0x00EF9B00
    FAULTS 13, SMALL_CODE, 'code with L and D', {jmp far [l_and_d]}
    mov rbx, 0x0000800000000000
    push KERNEL_CS64
    push rbx
    FAULTS 13, 0, 'RETFQ to a non-canonical address', {o64 retf}
    add rsp, 16
    ; Compatibility mode: 32-bit code with segments again.
    jmp far [compatibility_target]
bits 32
compatibility:
    mov eax, -1
    inc eax                            ; 40: REX in 64-bit mode
    mov ecx, eax
    mov ebx, ebp
    mov [found_ebp], ebx
    mov [found_ecx], ecx
    into                               ; known again; OF is clear
    jmp KERNEL_CS64:from_compatibility
bits 64
from_compatibility:
    EXPECT_EQ [found_ecx], 0, 'INC EAX in compatibility mode'
    EXPECT_EQ [found_ebp], 0x5EED0002, 'EBP in compatibility mode'
    EXPECT_EQ64 r15, 0x1122334455667788, 'R15 after compatibility mode'
    ; An exception in compatibility mode comes to a 64-bit handler.
    CATCH long_and_back_caught
    jmp far [compatibility_fault]
bits 32
fault_in_compatibility:
    ud2
bits 64
long_and_back_caught:
    EXPECT_EQ [caught], 6, 'UD2 in compatibility mode'
    EXPECT_EQ [caught_cs], KERNEL_CS, 'CS of compatibility mode in the frame'
    ; CR0.PG cannot be cleared in 64-bit mode, CR4.PAE not in long mode, EFER.LME not while paging.
    mov rax, cr0
    btr rax, 31
    FAULTS 13, 0, 'CR0.PG cleared in 64-bit mode', {mov cr0, rax}
    mov rax, cr4
    btr rax, 5
    FAULTS 13, 0, 'CR4.PAE cleared in long mode', {mov cr4, rax}
    mov ecx, EFER
    rdmsr
    btr eax, 8
    FAULTS 13, 0, 'EFER.LME cleared while paging', {wrmsr}
    mov rax, cr0
    bts rax, 32
    FAULTS 13, 0, 'upper half of CR0', {mov cr0, rax}
    jmp far [leave_target]
bits 32
leave_long:
    mov eax, cr0
    btr eax, 31
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    mov ebx, eax
    and eax, ~EFER_LME
    wrmsr
    lidt [idt_pointer]
    lgdt [gdt_pointer]
    mov esp, [saved_esp]
    and ebx, 1 << 10
    EXPECT_EQ ebx, 0, 'EFER.LMA after paging went off'
    FAULTS 6, 0, 'UD2 in protected mode again', {ud2}
    ret

user_code64:
    nop

section .data
marker: dd 0x30D35
compatibility_target:
    dd compatibility
    dw KERNEL_CS
compatibility_fault:
    dd fault_in_compatibility
    dw KERNEL_CS
leave_target:
    dd leave_long
    dw KERNEL_CS
l_and_d:
    dd leave_long
    dw SMALL_CODE

section .bss
saved_esp: resd 1
small_limit: resd 1
target: resb 6
found_ebp: resd 1
found_ecx: resd 1
