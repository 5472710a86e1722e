; Interrupts and exceptions through the IDT: Intel SDM vol. 3 sections 6.11 to 6.15, vol. 2 "INT n", "IRET", "CALL".
; qemu: TCG leaves EXT clear in error codes
%include "common.inc"

CONFORM_CS equ 0x30    ; conforming code, ring 0
CODE16 equ 0x38        ; the same bytes as 16-bit code at base 0
ABSENT_CS equ 0x40     ; code, not present
CALL32 equ 0x48        ; call gate with two parameters, DPL 3
CALL16 equ 0x50        ; 16-bit call gate, DPL 3
CALL_ABSENT equ 0x58   ; not present
CALL_RING0 equ 0x60    ; DPL 0
RING1_CS equ 0x68      ; code, ring 1
RING1_DS equ 0x70      ; data, ring 1
CALL_RING1 equ 0x78    ; call gate into ring 1, DPL 3
IDT_ERROR equ 2        ; bit 1 of an error code
VECTOR equ 0x2A        ; the test's own

%macro CALL_GATE 4     ; entry, selector, offset, the word of type, DPL and parameter count
    mov eax, %3
    mov [gdt + %1], ax
    mov word [gdt + %1 + 2], %2
    mov word [gdt + %1 + 4], %4
    shr eax, 16
    mov [gdt + %1 + 6], ax
%endmacro

section .text
test_main:
    DESCRIPTOR CONFORM_CS, 0, 0xFFFF, 0x9E, 0xCF
    DESCRIPTOR CODE16, handler16, 0xFFFF, 0x9A, 0x00
    DESCRIPTOR ABSENT_CS, 0, 0xFFFF, 0x1A, 0xCF
    DESCRIPTOR RING1_CS, 0, 0xFFFF, 0xBA, 0xCF
    DESCRIPTOR RING1_DS, 0, 0xFFFF, 0xB2, 0xCF
    CALL_GATE CALL32, KERNEL_CS, gate_target, 0xEC02
    CALL_GATE CALL16, CODE16, call16_target - handler16, 0xE400
    CALL_GATE CALL_ABSENT, KERNEL_CS, gate_target, 0x6C00
    CALL_GATE CALL_RING0, KERNEL_CS, gate_target, 0x8C00
    CALL_GATE CALL_RING1, RING1_CS, ring1_target, 0xEC00
    call same_ring
    call gate_types
    call refused_gates
    call from_ring3
    call call_gates
    call inner_stacks
    call returns
    call double_faults
    ret

; --- INT through interrupt and trap gates of the same ring -----------------------------------------------------------
same_ring:
    GATE VECTOR, record_frame, 0x8E
    sti
    mov ebx, esp
    stc
    int VECTOR
.after:
    setc cl
    cli
    EXPECT_EQ [frame_eip], .after, 'return address of INT'
    EXPECT_EQ [frame_cs], KERNEL_CS, 'CS in the frame of INT'
    EXPECT_EQ esp, ebx, 'stack after IRET'
    mov eax, ebx
    sub eax, 12
    EXPECT_EQ [frame_esp], eax, 'a frame of the same ring has three words'
    mov eax, [frame_flags]
    and eax, 0x201
    EXPECT_EQ eax, 0x201, 'IF and CF in the frame'
    mov eax, [flags_inside]
    and eax, 0x200
    EXPECT_EQ eax, 0, 'an interrupt gate clears IF'
    movzx ecx, cl
    EXPECT_EQ ecx, 1, 'CF comes back by IRET'

    GATE VECTOR, record_frame, 0x8F
    sti
    int VECTOR
    cli
    mov eax, [flags_inside]
    and eax, 0x200
    EXPECT_EQ eax, 0x200, 'a trap gate leaves IF'

    GATE 3, record_frame, 0x8E
    int3
.after_int3:
    EXPECT_EQ [frame_eip], .after_int3, 'return address of INT3'
    GATE 3, stub_3, 0x8E
    GATE 4, record_frame, 0x8E
    mov dword [frame_eip], 0
    xor eax, eax
    into
    EXPECT_EQ [frame_eip], 0, 'INTO without OF does nothing'
    mov al, 0x7F
    add al, 1
    into
.after_into:
    EXPECT_EQ [frame_eip], .after_into, 'return address of INTO'
    GATE 4, stub_4, 0x8E
    FAULTS 6, 0, 'UD2', {ud2}
    FAULTS 0, 0, 'division by 0', {div dword [zero]}
    FAULTS 5, 0, 'BOUND', {bound ebx, [bounds]}
    ret

; A conforming handler keeps the ring, a 16-bit gate pushes words.
gate_types:
    GATE VECTOR, record_frame, 0x8E
    mov word [idt + VECTOR * 8 + 2], CONFORM_CS
    int VECTOR
    EXPECT_EQ [cs_inside], CONFORM_CS, 'CS of a conforming handler'

    mov ebx, esp
    mov dword [idt + VECTOR * 8], CODE16 << 16
    mov dword [idt + VECTOR * 8 + 4], 0x00008600
    int VECTOR
gate_types_handled:
    mov esp, ebx
    mov ecx, gate_types_handled
    and ecx, 0xFFFF
    EXPECT_EQ [frame_ip], ecx, 'IP in a 16-bit frame'
    mov eax, ebx
    sub eax, 6
    EXPECT_EQ [frame_esp], eax, 'a 16-bit frame has six bytes'
    ret

; --- what is wrong with a gate ---------------------------------------------------------------------------------------
refused_gates:
    GATE VECTOR, record_frame, 0x0E
    FAULTS 11, VECTOR * 8 + IDT_ERROR, 'gate that is not present', {int VECTOR}
    GATE VECTOR, record_frame, 0x8C
    FAULTS 13, VECTOR * 8 + IDT_ERROR, 'call gate in the IDT', {int VECTOR}
    GATE VECTOR, record_frame, 0x89
    FAULTS 13, VECTOR * 8 + IDT_ERROR, 'TSS in the IDT', {int VECTOR}
    GATE VECTOR, record_frame, 0x9E
    FAULTS 13, VECTOR * 8 + IDT_ERROR, 'code segment in the IDT', {int VECTOR}
    GATE VECTOR, record_frame, 0x8E
    mov word [idt + VECTOR * 8 + 2], 0
    FAULTS 13, 0, 'gate with a null selector', {int VECTOR}
    mov word [idt + VECTOR * 8 + 2], KERNEL_DS
    FAULTS 13, KERNEL_DS, 'gate to a data segment', {int VECTOR}
    mov word [idt + VECTOR * 8 + 2], USER_CS
    FAULTS 13, USER_CS & ~3, 'gate to an outer ring', {int VECTOR}
    mov word [idt + VECTOR * 8 + 2], ABSENT_CS
    FAULTS 11, ABSENT_CS, 'gate to an absent segment', {int VECTOR}
    mov word [idt + VECTOR * 8 + 2], 0x1F8
    FAULTS 13, 0x1F8, 'gate to a selector beyond the table', {int VECTOR}
    mov word [idt + VECTOR * 8 + 2], KERNEL_CS

    ; Beyond the limit of the IDT.
    mov word [idt_pointer], 0x30 * 8 - 1
    lidt [idt_pointer]
    FAULTS 13, 0x30 * 8 + IDT_ERROR, 'vector beyond the IDT', {int 0x30}
    mov word [idt_pointer], 0x30 * 8 + 6
    lidt [idt_pointer]
    FAULTS 13, 0x30 * 8 + IDT_ERROR, 'vector at the cut end of the IDT', {int 0x30}
    mov word [idt_pointer], 8 * 256 - 1
    lidt [idt_pointer]

    ; An exception that cannot be delivered: EXT is set, since no INT instruction asked for it (section 6.13).
    mov byte [idt + 6 * 8 + 5], 0x0E
    FAULTS 11, 6 * 8 + IDT_ERROR + 1, 'absent gate for #UD', {ud2}
    mov byte [idt + 6 * 8 + 5], 0x8E
    ret

; --- ring 3 ----------------------------------------------------------------------------------------------------------
from_ring3:
    RING3 user_int, USER_INT, 0, 'INT from ring 3'
    mov eax, [caught_eflags]
    and eax, 0x3000
    EXPECT_EQ eax, 0, 'IOPL in the frame'
    GATE VECTOR, record_inner, 0xEE
    RING3 user_vector, USER_INT, 0, 'back from a handler of ring 0'
    EXPECT_EQ [frame_user_ss], USER_DS, 'SS in the frame of an inner ring'
    EXPECT_EQ [frame_user_esp], ring3_stack_top - 16, 'ESP in the frame of an inner ring'
    EXPECT_EQ [frame_esp], inner_stack_top - 20, 'an inner frame has five words'
    EXPECT_EQ [user_esp], ring3_stack_top - 16, 'ESP of ring 3 after IRET'
    RING3 user_int3, 13, 3 * 8 + IDT_ERROR, 'INT3 through a gate of ring 0'
    RING3 user_icebp, 1, 0, 'INT1 does not look at the DPL of its gate'
    RING3 user_ud, 6, 0, 'exceptions do not look at the DPL of their gates'
    ret

; --- call gates ------------------------------------------------------------------------------------------------------
call_gates:
    RING3 user_call32, USER_INT, 0, 'call gate with parameters'
    EXPECT_EQ [gate_parameter1], 0x11111111, 'first parameter behind a call gate'
    EXPECT_EQ [gate_parameter2], 0x22222222, 'second parameter behind a call gate'
    EXPECT_EQ [gate_esp], inner_stack_top - 24, 'frame of a call gate with parameters'
    EXPECT_EQ [user_esp], ring3_stack_top, 'RETF n drops the parameters of both stacks'
    EXPECT_EQ [user_ds], 0, 'RETF to an outer ring empties its DS'
    CATCH .call16
    mov eax, user_call16
    jmp to_ring3
.call16:
    EXPECT_EQ [caught], USER_INT, '16-bit call gate'
    EXPECT_EQ [gate_esp], inner_stack_top - 8, 'frame of a 16-bit call gate'
    RING3 user_call_absent, 11, CALL_ABSENT, 'call gate that is not present'
    RING3 user_call_ring0, 13, CALL_RING0, 'call gate of ring 0 from ring 3'
    RING3 user_jmp_inner, 13, KERNEL_CS, 'JMP through a gate to an inner ring'
    RING3 user_call_direct, 13, KERNEL_CS, 'CALL to inner code without a gate'
    mov dword [gdt + CALL32 + 4], 0x0000EC00
    mov word [gdt + CALL32 + 2], 0
    FAULTS 13, 0, 'call gate with a null selector', {call CALL32:0}
    mov word [gdt + CALL32 + 2], ABSENT_CS
    FAULTS 11, ABSENT_CS, 'call gate to an absent segment', {call CALL32:0}
    ret

; --- the stack of an inner ring: errors are #TS with the selector, then #SS (vol. 3 section 6.12.1, vol. 2 INT n) -----
inner_stacks:
    mov dword [tss + 12], 0x1000
    mov dword [tss + 16], USER_DS
    RING3 user_call_ring1, 10, USER_DS & ~3, 'stack segment of the wrong ring'
    mov dword [tss + 16], 0
    RING3 user_call_ring1, 10, 0, 'null stack segment in the TSS'
    mov dword [tss + 16], RING1_CS | 1
    RING3 user_call_ring1, 10, RING1_CS, 'code as stack segment'
    mov dword [tss + 16], 0x1F8 | 1
    RING3 user_call_ring1, 10, 0x1F8, 'stack segment beyond the table'
    mov dword [tss + 16], RING1_DS | 1
    mov byte [gdt + RING1_DS + 5], 0x32
    RING3 user_call_ring1, 12, RING1_DS, 'absent stack segment'
    mov byte [gdt + RING1_DS + 5], 0xB2
    mov dword [tss + 12], stack_bottom + 256
    CATCH .ring1
    mov eax, user_call_ring1
    jmp to_ring3
.ring1:
    EXPECT_EQ [caught], 13, 'CLI in ring 1'
    EXPECT_EQ [caught_cs], RING1_CS | 1, 'CS of ring 1'
    ret

; --- IRET and RETF ---------------------------------------------------------------------------------------------------
%macro IRET_TO 3            ; CS, EIP, flags
    push dword %3
    push dword %1
    push dword %2
    iretd
%endmacro

returns:
    CATCH .null
    IRET_TO 0, .null, 2
.null:
    EXPECT_EQ [caught], 13, 'IRET to a null CS'
    EXPECT_EQ [caught_error], 0, 'IRET to a null CS (error code)'
    CATCH .data
    IRET_TO KERNEL_DS, .data, 2
.data:
    EXPECT_EQ [caught], 13, 'IRET to data'
    EXPECT_EQ [caught_error], KERNEL_DS, 'IRET to data (error code)'
    CATCH .absent
    IRET_TO ABSENT_CS, .absent, 2
.absent:
    EXPECT_EQ [caught], 11, 'IRET to absent code'
    EXPECT_EQ [caught_error], ABSENT_CS, 'IRET to absent code (error code)'
    ; To an inner ring: RPL below CPL.
    RING3 user_iret_inner, 13, KERNEL_CS, 'IRET to an inner ring'
    RING3 user_retf_inner, 13, KERNEL_CS, 'RETF to an inner ring'
    ; The stack of the outer ring must belong to it.
    CATCH .outer_stack
    push dword KERNEL_DS
    push dword ring3_stack_top
    IRET_TO USER_CS, user_int, 2
.outer_stack:
    EXPECT_EQ [caught], 13, 'IRET to ring 3 with a stack of ring 0'
    EXPECT_EQ [caught_error], KERNEL_DS, 'IRET to ring 3 with a stack of ring 0 (error code)'
    EXPECT_EQ [caught_cs], KERNEL_CS, 'a failing IRET faults in the inner ring'
    ; IRET to ring 3 empties data segments that ring 3 may not use, and keeps the others.
    mov ax, KERNEL_DS
    mov fs, ax
    mov ax, USER_DS
    mov gs, ax
    RING3 user_segments, USER_INT, 0, 'segments after IRET'
    EXPECT_EQ [user_fs], 0, 'a kernel segment in FS after IRET to ring 3'
    EXPECT_EQ [user_gs], USER_DS, 'a user segment in GS after IRET to ring 3'
    ; POPF in ring 3 changes neither IF nor IOPL, and faults in neither case.
    RING3 user_popf, USER_INT, 0, 'POPF in ring 3'
    mov eax, [caught_eflags]
    and eax, 0x3201
    EXPECT_EQ eax, 1, 'IF and IOPL after POPF in ring 3'
    mov ax, KERNEL_DS
    mov fs, ax
    mov gs, ax
    ret

; --- double faults (vol. 3 table 6-5) --------------------------------------------------------------------------------
double_faults:
    ; #GP in the delivery of #DE, both contributory: #DF with error code 0.
    mov word [idt + 2], 0x1F8
    CATCH .contributory
    div dword [zero]
.contributory:
    EXPECT_EQ [caught], 8, 'fault in the delivery of #DE'
    EXPECT_EQ [caught_error], 0, 'fault in the delivery of #DE (error code)'
    mov word [idt + 2], KERNEL_CS
    ; #NP in the delivery of a benign #UD: one after the other.
    mov byte [idt + 6 * 8 + 5], 0x0E
    FAULTS 11, 6 * 8 + IDT_ERROR + 1, 'fault in the delivery of #UD', {ud2}
    mov byte [idt + 6 * 8 + 5], 0x8E
    ret

; --- handlers --------------------------------------------------------------------------------------------------------
record_frame:
    mov [frame_esp], esp
    push eax
    mov eax, [esp + 4]
    mov [frame_eip], eax
    mov eax, [esp + 8]
    mov [frame_cs], eax
    mov eax, [esp + 12]
    mov [frame_flags], eax
    pushfd
    pop dword [flags_inside]
    xor eax, eax
    mov ax, cs
    mov [cs_inside], eax
    pop eax
    iretd

record_inner:
    push eax
    push ds
    mov ax, KERNEL_DS
    mov ds, ax
    lea eax, [esp + 8]
    mov [frame_esp], eax
    mov eax, [esp + 20]
    mov [frame_user_esp], eax
    mov eax, [esp + 24]
    mov [frame_user_ss], eax
    pop ds
    pop eax
    iretd

gate_target:
    mov ax, KERNEL_DS
    mov ds, ax
    mov [gate_esp], esp
    mov eax, [esp + 8]
    mov [gate_parameter2], eax
    mov eax, [esp + 12]
    mov [gate_parameter1], eax
    retf 8

ring1_target:
    cli                     ; ring 1, IOPL 0: #GP
    jmp $

bits 16
handler16:                  ; a frame of words: too few to go back
    mov [dword frame_esp], esp
    movzx eax, word [esp]
    mov [dword frame_ip], eax
    jmp dword KERNEL_CS:gate_types_handled
call16_target:
    mov ax, KERNEL_DS
    mov ds, ax
    mov [dword gate_esp], esp
    jmp dword KERNEL_CS:call16_end
bits 32
call16_end:
    int USER_INT

; --- code of ring 3 --------------------------------------------------------------------------------------------------
user_int:
    int USER_INT
user_vector:
    sub esp, 16
    int VECTOR
    mov [user_esp], esp
    int USER_INT
user_int3:
    int3
user_icebp:
    db 0xF1
user_ud:
    ud2
user_call32:
    mov esp, ring3_stack_top
    push dword 0x11111111
    push dword 0x22222222
    call CALL32:0
    mov ax, ds
    mov cx, USER_DS
    mov ds, cx
    movzx eax, ax
    mov [user_ds], eax
    mov [user_esp], esp
    int USER_INT
user_call16:
    call CALL16:0
user_call_absent:
    call CALL_ABSENT:0
user_call_ring0:
    call CALL_RING0:0
user_jmp_inner:
    jmp CALL32:0
user_call_direct:
    call KERNEL_CS:gate_target
user_call_ring1:
    call CALL_RING1:0
user_iret_inner:
    IRET_TO KERNEL_CS, gate_target, 2
user_retf_inner:
    push dword KERNEL_CS
    push dword gate_target
    retf
user_segments:
    xor eax, eax
    mov ax, fs
    mov [user_fs], eax
    mov ax, gs
    mov [user_gs], eax
    int USER_INT
user_popf:
    push dword 0x3203
    popfd
    int USER_INT

section .data
zero: dd 0
bounds: dd 0x10, 0x0F       ; no index is inside

section .bss
frame_esp: resd 1
frame_eip: resd 1
frame_ip: resd 1
frame_cs: resd 1
frame_flags: resd 1
frame_user_esp: resd 1
frame_user_ss: resd 1
flags_inside: resd 1
cs_inside: resd 1
gate_esp: resd 1
gate_parameter1: resd 1
gate_parameter2: resd 1
user_esp: resd 1
user_ds: resd 1
user_fs: resd 1
user_gs: resd 1
